package rules

import (
	"fmt"
	"maps"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// maxGrowth bounds of how many parts a value may be put together.
const maxGrowth = 1 << 16

// checkGrowth refuses expressions that double a value again and again, as
// [x].map(x, x + x).map(x, x + x): cel-go adds lists without copying, which costs
// one unit, and asks every part for its size later, which costs one unit too and
// takes for ever.
func checkGrowth(a *cel.Ast) error {
	if g := growth(a.NativeRep().Expr(), nil); g > maxGrowth {
		return fmt.Errorf("it adds values up to %.2g times, the limit is %d", g, maxGrowth)
	}
	return nil
}

// growth is the most parts that a value of e has, if each variable outside of e
// has one; of others known says it.
func growth(e ast.Expr, known map[string]float64) float64 {
	most := 1.0
	see := func(list ...ast.Expr) {
		for _, one := range list {
			most = max(most, growth(one, known))
		}
	}
	switch e.Kind() {
	case ast.IdentKind:
		if g, ok := known[e.AsIdent()]; ok {
			return g
		}
	case ast.SelectKind:
		see(e.AsSelect().Operand())
	case ast.ListKind:
		see(e.AsList().Elements()...)
	case ast.MapKind:
		for _, one := range e.AsMap().Entries() {
			see(one.AsMapEntry().Key(), one.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, one := range e.AsStruct().Fields() {
			see(one.AsStructField().Value())
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() == operators.Add {
			most = 0
			for _, one := range call.Args() {
				most += growth(one, known)
			}
			return most
		}
		if call.IsMemberFunction() {
			see(call.Target())
		}
		see(call.Args()...)
	case ast.ComprehensionKind:
		return loopGrowth(e.AsComprehension(), known)
	}
	return most
}

// loopGrowth is growth of a loop: macros give it no way to add its result to
// itself, but for one item.
func loopGrowth(loop ast.ComprehensionExpr, known map[string]float64) float64 {
	over := growth(loop.IterRange(), known)
	inner := map[string]float64{}
	maps.Copy(inner, known)
	inner[loop.IterVar()] = over
	if loop.HasIterVar2() {
		inner[loop.IterVar2()] = over
	}
	begin := growth(loop.AccuInit(), known)
	inner[loop.AccuVar()] = begin
	result := max(over, begin, growth(loop.LoopCondition(), inner), growth(loop.LoopStep(), inner))
	inner[loop.AccuVar()] = result
	return max(result, growth(loop.Result(), inner))
}
