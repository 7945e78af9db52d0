package avro

// measure computes min, cost and text of all nodes below root. A back reference
// takes as much as its target, which is known only when the tree around it is, so
// the tree is walked until nothing changes; a type that holds itself without a
// way out, of which no finite value exists, would grow for ever.
func measure(root *node, backs []*node) {
	const rounds = 4
	for range rounds {
		root.measure()
		changed := false
		for _, b := range backs {
			to := b.kids[0]
			changed = changed || b.min != to.min
			b.min = to.min
		}
		if !changed {
			return
		}
	}
}

// maxMeasure keeps sums in range. It is more than any payload may cost.
const maxMeasure = 1 << 30

func (n *node) measure() {
	if n.op == opBack {
		n.cost = 4 // an offset; the text is counted on entering it
		return
	}
	for _, k := range n.kids {
		k.measure()
	}
	switch n.op {
	case opRecord:
		n.min, n.cost, n.text = 0, 0, 2
		for i, k := range n.kids {
			n.min, n.cost, n.text = n.min+k.min, n.cost+k.cost, n.text+k.text+6*len(n.names[i])+4
		}
	case opArray, opMap: // the end of the list is a byte
		n.min, n.item, n.cost, n.text = 1, 0, 4, 2
		for _, k := range n.kids {
			n.item = min(n.item+k.min, maxMeasure)
		}
	case opNullable:
		n.min, n.cost, n.text = 1, n.kids[0].cost, n.kids[0].text
		if n.size == 1 {
			n.min += n.kids[0].min
		}
	case opUnion:
		n.measureUnion()
	case opBranch, opTop:
		n.min, n.cost, n.text = n.kids[0].min, n.kids[0].cost, n.kids[0].text
	default:
		n.measureLeaf()
	}
	n.min, n.cost, n.text = min(n.min, maxMeasure), min(n.cost, maxMeasure), min(n.text, maxMeasure)
}

func (n *node) measureUnion() {
	least := maxMeasure
	n.cost, n.text = 0, 0
	for _, k := range n.kids {
		least = min(least, k.min)
		n.cost += k.cost
		n.text = max(n.text, k.text+6*len(k.names[0])+5)
	}
	n.min = 1 + least
}

func (n *node) measureLeaf() {
	n.min, n.cost, n.text = 1, 8, 32
	switch n.op {
	case opNull:
		n.min = 0
	case opFloat:
		n.min = 4
	case opDouble:
		n.min = 8
	case opDecimal, opBigDecimal:
		n.cost, n.text = 16, n.precision+8
		n.min = max(1, n.size)
	case opFixed:
		n.min, n.cost, n.text = n.size, n.size, 2*n.size+8
	case opDuration:
		n.min, n.cost, n.text = n.size, 24, 80
	case opEnum:
		longest := 0
		for _, s := range n.names {
			longest = max(longest, len(s))
		}
		n.cost, n.text = 4+longest, longest+8
	}
}
