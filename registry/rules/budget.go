package rules

import (
	"fmt"
	"math"
	"math/bits"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	validatecel "buf.build/go/protovalidate/cel"
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Protovalidate evaluates the expressions in a schema's annotations without a
// limit, and cannot be stopped: lists within lists within lists of a payload
// would keep a processor for hours. So before it is asked, what its expressions
// could cost at most is told from the payload's sizes, by CEL's own estimator.

const (
	// maxAnnotationCost bounds what the expressions of a schema's annotations may
	// cost at most on one payload, in CEL's units. It is an upper bound, some ten
	// to a thousand times of what is used in the end, so the limit is a hundred
	// times that of conditions, whose cost is counted.
	maxAnnotationCost = 100 * maxCost
	// maxAnnotations bounds the text of a schema's expressions together: each byte
	// is compiled when the first payload comes.
	maxAnnotations = 4 * maxExpression
)

// budget knows what the expressions in a message's annotations can cost. It is
// safe for concurrent use.
type budget struct {
	of   map[protoreflect.FullName]*expressions // by message
	any  []*expression                          // of rules that any field may have
	size int                                    // of all texts

	mu    sync.Mutex
	known map[place]costs // guarded by mu; sizes are powers of two, so few
}

// expressions are those of a message and its fields.
type expressions struct {
	once   []*expression // evaluated once for each message
	each   []*expression // for each item of its lists and maps
	fields int
}

// place is a message of certain sizes.
type place struct {
	name protoreflect.FullName
	sizes
}

type expression struct {
	env *cel.Env
	ast *cel.Ast
}

// sizes are the greatest of a message and what it holds.
type sizes struct{ list, text int }

type costs struct{ once, each float64 }

// newBudget collects the expressions of md and all messages below. The error
// says that one cannot be compiled.
func newBudget(md protoreflect.MessageDescriptor) (*budget, error) {
	env, err := shared()
	if err != nil {
		return nil, err
	}
	env, err = env.Extend(cel.Variable("now", cel.TimestampType), cel.Variable("rule", cel.DynType), cel.Variable("rules", cel.DynType))
	if err != nil {
		return nil, fmt.Errorf("the environment of annotations: %w", err)
	}
	b := &budget{of: map[protoreflect.FullName]*expressions{}, known: map[place]costs{}}
	err = b.message(env, md)
	if err == nil {
		err = b.predefined(env, md.ParentFile(), map[string]bool{})
	}
	return b, err
}

// message adds the expressions of a message and those it holds.
func (b *budget) message(env *cel.Env, md protoreflect.MessageDescriptor) error {
	if b.of[md.FullName()] != nil {
		return nil
	}
	of := &expressions{fields: md.Fields().Len()}
	b.of[md.FullName()] = of
	rules, err := protovalidate.ResolveMessageRules(md)
	if err != nil {
		return fmt.Errorf("annotations of %s: %w", md.FullName(), err)
	}
	if err := b.add(&of.once, env, cel.ObjectType(string(md.FullName())), md, rules.GetCel(), rules.GetCelExpression()); err != nil {
		return err
	}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		rules, err := protovalidate.ResolveFieldRules(fd)
		if err != nil {
			return fmt.Errorf("annotations of %s: %w", fd.FullName(), err)
		}
		if err := b.field(env, of, fd, rules); err != nil {
			return err
		}
		if sub := valueMessage(fd); sub != nil {
			if err := b.message(env, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

// valueMessage is the message that a field holds, or its map's values; nil for
// others.
func valueMessage(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		return fd.MapValue().Message()
	}
	return fd.Message()
}

// field adds the expressions of a field, and of its items.
func (b *budget) field(env *cel.Env, of *expressions, fd protoreflect.FieldDescriptor, rules *validate.FieldRules) error {
	type part struct {
		to    *[]*expression
		fd    protoreflect.FieldDescriptor
		items bool
		rules *validate.FieldRules
	}
	parts := []part{{&of.once, fd, false, rules}}
	if items := rules.GetRepeated().GetItems(); items != nil && fd.IsList() {
		parts = append(parts, part{&of.each, fd, true, items})
	}
	if fd.IsMap() {
		parts = append(parts, part{&of.each, fd.MapKey(), false, rules.GetMap().GetKeys()}, part{&of.each, fd.MapValue(), false, rules.GetMap().GetValues()})
	}
	for _, p := range parts {
		this := validatecel.ProtoFieldToType(p.fd, true, p.items)
		if err := b.add(p.to, env, this, valueMessage(p.fd), p.rules.GetCel(), p.rules.GetCelExpression()); err != nil {
			return err
		}
	}
	return nil
}

// predefined adds the expressions of rules that a file, or one that it imports,
// defines as extensions: any field may have them.
func (b *budget) predefined(env *cel.Env, file protoreflect.FileDescriptor, seen map[string]bool) error {
	if seen[file.Path()] || file.Path() == validatePath {
		return nil // protovalidate's own are written with care
	}
	seen[file.Path()] = true
	var walk func(protoreflect.ExtensionDescriptors, protoreflect.MessageDescriptors) error
	walk = func(list protoreflect.ExtensionDescriptors, messages protoreflect.MessageDescriptors) error {
		for i := range list.Len() {
			rules, err := protovalidate.ResolvePredefinedRules(list.Get(i))
			if err != nil {
				return fmt.Errorf("annotations of %s: %w", list.Get(i).FullName(), err)
			}
			if err := b.add(&b.any, env, cel.DynType, nil, rules.GetCel(), nil); err != nil {
				return err
			}
		}
		for i := range messages.Len() {
			if err := walk(messages.Get(i).Extensions(), messages.Get(i).Messages()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(file.Extensions(), file.Messages()); err != nil {
		return err
	}
	for i := range file.Imports().Len() {
		if err := b.predefined(env, file.Imports().Get(i).FileDescriptor, seen); err != nil {
			return err
		}
	}
	return nil
}

// add compiles expressions about a value of type this; md is its message, if it
// is one.
func (b *budget) add(to *[]*expression, env *cel.Env, this *cel.Type, md protoreflect.MessageDescriptor, rules []*validate.Rule, bare []string) error {
	var texts []string
	for _, r := range rules {
		texts = append(texts, r.GetExpression())
	}
	texts = append(texts, bare...)
	if len(texts) == 0 {
		return nil
	}
	options := []cel.EnvOption{cel.Variable("this", this)}
	if md != nil {
		options = append(options, cel.Types(dynamicpb.NewMessage(md)))
	}
	env, err := env.Extend(options...)
	if err != nil {
		return fmt.Errorf("the environment of annotations: %w", err)
	}
	for _, text := range texts {
		if b.size += len(text); len(text) > maxExpression || b.size > maxAnnotations {
			return fmt.Errorf("its expressions are too long: one has at most %d bytes, all together %d", maxExpression, maxAnnotations)
		}
		ast, issues := env.Compile(text)
		if err := issues.Err(); err != nil {
			return fmt.Errorf("CEL: %s", oneLine(err))
		}
		if err := checkGrowth(ast); err != nil {
			return err
		}
		*to = append(*to, &expression{env, ast})
	}
	return nil
}

// check refuses a payload on which the expressions could cost too much.
func (b *budget) check(m protoreflect.Message) error {
	if b.size == 0 {
		return nil
	}
	c := census{budget: b}
	if at := c.message(m); c.cost > maxAnnotationCost {
		return fmt.Errorf("its expressions could cost %.2g units on this payload (lists up to %d items, texts up to %d bytes), the limit is %d",
			c.cost, at.list, at.text, maxAnnotationCost)
	}
	return nil
}

// most is what a message's expressions cost at most: all once, and one item's.
func (b *budget) most(name protoreflect.FullName, at sizes) costs {
	key := place{name, sizes{roundUp(at.list), roundUp(at.text)}}
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.known[key]
	if !ok {
		of := b.of[name]
		if of == nil {
			of = &expressions{} // of a message that the schema does not lead to
		}
		one := estimate(b.any, key.sizes)
		c = costs{estimate(of.once, key.sizes) + one*float64(of.fields), estimate(of.each, key.sizes) + one}
		b.known[key] = c
	}
	return c
}

// roundUp gives the next power of two.
func roundUp(n int) int { return 1 << bits.Len(uint(max(n-1, 0))) }

// estimate is the most that expressions cost, each evaluated once.
func estimate(list []*expression, at sizes) (sum float64) {
	for _, e := range list {
		c, err := e.env.EstimateCost(e.ast, at)
		if err != nil {
			return math.Inf(1)
		}
		sum += float64(c.Max)
	}
	return sum
}

// EstimateCallCost leaves functions to CEL.
func (s sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// EstimateSize bounds what comes from the payload.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.ComputedSize() != nil {
		return nil
	}
	size := max(s.list, s.text)
	switch n.Type().Kind() {
	case types.ListKind, types.MapKind:
		size = s.list
	case types.StringKind, types.BytesKind:
		size = s.text
	}
	return &cost.SizeEstimate{Max: uint64(size)}
}

// census goes over a payload and adds up what its messages' expressions could
// cost, each by the sizes of what that message holds.
type census struct {
	budget *budget
	cost   float64
}

func (c *census) message(m protoreflect.Message) sizes {
	var at sizes
	items := 0
	many := func(n int) {
		items += n
		at.list = max(at.list, n)
	}
	value := func(fd protoreflect.FieldDescriptor, v protoreflect.Value) {
		in := c.value(fd, v)
		at = sizes{max(at.list, in.list), max(at.text, in.text)}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			many(2 * v.Map().Len())
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				value(fd.MapKey(), k.Value())
				value(fd.MapValue(), v)
				return true
			})
		case fd.IsList():
			many(v.List().Len())
			for i := range v.List().Len() {
				value(fd, v.List().Get(i))
			}
		default:
			value(fd, v)
		}
		return true
	})
	most := c.budget.most(m.Descriptor().FullName(), at)
	c.cost += most.once
	if items > 0 {
		c.cost += most.each * float64(items)
	}
	return at
}

func (c *census) value(fd protoreflect.FieldDescriptor, v protoreflect.Value) sizes {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return sizes{text: len(v.String())}
	case protoreflect.BytesKind:
		return sizes{text: len(v.Bytes())}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return c.message(v.Message())
	}
	return sizes{}
}
