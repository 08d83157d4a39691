package main

import (
	"fmt"
	"os"
	"reflect"

	"github.com/alecthomas/kong"
)

// asTyped takes texts and file names of the command line byte by byte. File names
// need not be UTF-8, and kong's own mappers go through JSON.
var asTyped = []kong.Option{
	kong.KindMapper(reflect.String, kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		text, err := typed(ctx)
		if err == nil {
			target.SetString(text)
		}
		return err
	})),
	kong.NamedMapper("existingfile", kong.MapperFunc(existingFile)),
}

// existingFile decodes the path of a readable file, or a list of them.
func existingFile(ctx *kong.DecodeContext, target reflect.Value) error {
	if target.Kind() == reflect.Slice {
		for ctx.Scan.Peek().IsValue() {
			path := reflect.New(target.Type().Elem()).Elem()
			if err := existingFile(ctx, path); err != nil {
				return err
			}
			target.Set(reflect.Append(target, path))
		}
		return nil
	}
	path, err := typed(ctx)
	if err != nil {
		return err
	}
	path = kong.ExpandPath(path)
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%q exists but is a directory", path)
	}
	target.SetString(path)
	return err
}

func typed(ctx *kong.DecodeContext) (string, error) {
	t, err := ctx.Scan.PopValue(ctx.Value.Name)
	if err != nil {
		return "", err
	}
	return t.String(), nil
}
