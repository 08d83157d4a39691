package bundle

import (
	"fmt"

	"serveflow/sidecar/model"
	"serveflow/sidecar/model/forest"
	"serveflow/sidecar/model/leaves"
	"serveflow/sidecar/model/lightgbm"
)

// loadTrees reads a LightGBM text and compiles it. If the compiled model does not
// reproduce its golden rows but the reference does, the reference is used and warn
// is called.
func loadTrees(text, golden []byte, classes int, warn func(string)) (model.Model, error) {
	e, err := lightgbm.Parse(text, classes)
	if err != nil {
		return nil, err
	}
	return serving(e, forest.New(e), golden, warn)
}

// serving is the compiled form of e, or the reference if only that is right.
func serving(e *lightgbm.Ensemble, compiled model.Model, golden []byte, warn func(string)) (model.Model, error) {
	if golden == nil {
		return compiled, nil
	}
	wrong := checkGolden(compiled, golden)
	if wrong == nil {
		return compiled, nil
	}
	reference, err := leaves.New(e)
	if err != nil {
		return nil, err
	}
	if err := checkGolden(reference, golden); err != nil {
		return reference, err
	}
	if warn != nil {
		warn(fmt.Sprintf("a model is served several times slower than it could be, since it is wrong when it is compiled; please report this: %v", wrong))
	}
	return reference, nil
}
