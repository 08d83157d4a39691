package main

import (
	"fmt"
	"runtime"
	"strings"

	"serveflow"
	"serveflow/models"
	"serveflow/sidecar/tap/wire"
)

type versionCmd struct{}

func (versionCmd) Run() error {
	fmt.Printf("serveflow %s (protocol %d, %s, bundles: %s)\n",
		serveflow.Version(), wire.Version, runtime.Version(), strings.Join(models.Names(), ", "))
	return nil
}
