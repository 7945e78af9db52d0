package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	validatecel "buf.build/go/protovalidate/cel"
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// environments makes the environment that conditions are compiled in: CEL's
// standard, strings, and the functions of protovalidate and Confluent. It costs
// half a megabyte, so it is made by the first rule there is.
func environments() func() (*cel.Env, error) {
	return sync.OnceValues(func() (*cel.Env, error) {
		test := func(name string, f func(string) bool) cel.EnvOption {
			return cel.Function(name, cel.MemberOverload("string_"+name, []*cel.Type{cel.StringType}, cel.BoolType,
				cel.UnaryBinding(func(v ref.Val) ref.Val {
					s, ok := v.(types.String)
					return types.Bool(ok && f(string(s)))
				})))
		}
		return cel.NewEnv(
			cel.Lib(validatecel.NewLibrary()),
			cel.Variable("message", cel.DynType),
			cel.ParserExpressionSizeLimit(maxExpression),
			test("isIpv4", func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() }),
			test("isIpv6", func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() }),
			test("isUuid", func(s string) bool { _, err := uuid.Parse(s); return err == nil && len(s) == 36 }),
		)
	})
}

// shared is that environment. It is written once, by who needs it first.
var shared = environments()

// environment is where the conditions of a schema are compiled: a Protobuf
// schema brings its types.
func environment(s schema.Schema, index []int) (*cel.Env, error) {
	env, err := shared()
	if err != nil {
		return nil, err
	}
	ps, ok := s.(*protobuf.Schema)
	if !ok {
		return env, nil
	}
	md, err := ps.Message(index)
	if err != nil {
		return nil, err
	}
	return env.Extend(cel.TypeDescs(md.ParentFile()))
}

// condition compiles one rule. Confluent allows a guard in front, as
// "guard ; condition": payloads that it is false of keep the rule.
func condition(s schema.Schema, index []int, r schema.Rule) (func(any, []byte) (*Violation, error), error) {
	env, err := environment(s, index)
	if err != nil {
		return nil, err
	}
	guard, program, err := guarded(env, r.Expr)
	if err != nil {
		return nil, err
	}
	message := r.Doc
	if message == "" {
		message = r.Expr
	}
	return func(v any, _ []byte) (*Violation, error) {
		in := map[string]any{"message": v, "now": time.Now()}
		if guard != nil {
			if said, err := evaluate(guard, in); err != nil || said != "" {
				return nil, err
			}
		}
		said, err := evaluate(program, in)
		if err != nil || said == "" {
			return nil, err
		}
		if said == no {
			said = message
		}
		return &Violation{Message: said}, nil
	}, nil
}

// guarded compiles an expression, and the guard in front of it, nil if there is
// none.
func guarded(env *cel.Env, expr string) (guard, program cel.Program, err error) {
	if program, err = compile(env, expr); err == nil {
		return nil, program, nil
	}
	// A text may hold a semicolon of its own; only what is no expression is taken
	// apart.
	before, after, ok := cutGuard(expr)
	if !ok {
		return nil, nil, err
	}
	if guard, err = compile(env, before); err != nil {
		return nil, nil, err
	}
	program, err = compile(env, after)
	return guard, program, err
}

// cutGuard parts "guard ; condition" at the last semicolon.
func cutGuard(expr string) (before, after string, ok bool) {
	i := strings.LastIndexByte(expr, ';')
	if i < 0 || strings.TrimSpace(expr[:i]) == "" || strings.TrimSpace(expr[i+1:]) == "" {
		return "", "", false
	}
	return expr[:i], expr[i+1:], true
}

func compile(env *cel.Env, expr string) (cel.Program, error) {
	ast, issues := env.Compile(expr)
	if err := issues.Err(); err != nil {
		return nil, fmt.Errorf("CEL: %s", oneLine(err))
	}
	if err := checkGrowth(ast); err != nil {
		return nil, err
	}
	return env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
}

func oneLine(err error) string {
	return strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n", " "))
}

// no is what an expression that is false says.
const no = "\x00"

// evaluate gives "" for true, no for false, and what a text says: an empty one
// is no objection.
func evaluate(p cel.Program, in map[string]any) (string, error) {
	out, _, err := p.Eval(in)
	if err != nil {
		return "", err
	}
	switch v := out.(type) {
	case types.Bool:
		if v {
			return "", nil
		}
		return no, nil
	case types.String:
		return string(v), nil
	}
	return "", fmt.Errorf("it gives %s, and neither true or false nor a text", out.Type().TypeName())
}
