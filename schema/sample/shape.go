package sample

import (
	"maps"
	"slices"
)

// enum lists the texts of a place if they are few and repeat; nil else.
func (n *node) enum() []string {
	if n.long || n.formats != 0 || len(n.values) == 0 || n.texts < minRepeats*len(n.values) {
		return nil
	}
	return slices.Sorted(maps.Keys(n.values))
}

// mapped says whether an object is a map: of so many names that no object has more
// than a few of them, or of more than are remembered.
func (n *node) mapped() bool {
	if n.rest != nil {
		return true
	}
	if len(n.names) < mapNames {
		return false
	}
	members := 0
	for _, p := range n.props {
		members += p.seen
	}
	return members/n.maps < len(n.names)/4
}

// member is what stands under any name of a map.
func (n *node) member() *node {
	all := &node{}
	for _, name := range n.names {
		all.merge(n.props[name])
	}
	if n.rest != nil {
		all.merge(n.rest)
	}
	all.blind = all.blind || n.blind
	return all
}

// merge adds what was seen at another place.
func (n *node) merge(o *node) {
	if n.texts == 0 {
		n.formats = o.formats
	} else if o.texts > 0 {
		n.formats &= o.formats
	}
	n.seen += o.seen
	n.nulls += o.nulls
	n.bools += o.bools
	n.ints += o.ints
	n.floats += o.floats
	n.texts += o.texts
	n.lists += o.lists
	n.maps += o.maps
	n.blind = n.blind || o.blind
	n.long = n.long || o.long
	for text, times := range o.values {
		if n.values == nil {
			n.values = make(map[string]int)
		}
		n.values[text] += times
	}
	if n.long || len(n.values) > maxValues {
		n.values, n.long = nil, true
	}
	if o.items != nil {
		if n.items == nil {
			n.items = &node{}
		}
		n.items.merge(o.items)
	}
	for _, name := range o.names {
		if n.props == nil {
			n.props = make(map[string]*node)
		}
		if n.props[name] == nil {
			n.props[name] = &node{}
			n.names = append(n.names, name)
		}
		n.props[name].merge(o.props[name])
	}
	if o.rest != nil {
		if n.rest == nil {
			n.rest = &node{}
		}
		n.rest.merge(o.rest)
	}
}
