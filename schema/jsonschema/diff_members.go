package jsonschema

import "fmt"

// combinations compares two forms that combine members.
func (w *walk) combinations(old, new *form) {
	a, b := len(old.members), len(new.members)
	if old.aspect != new.aspect {
		single := new.count == 1
		widened := new.aspect == aspectAnyOf ||
			old.count == 1 && (single || new.aspect == aspectOneOf) ||
			old.aspect == aspectAllOf && single
		if !widened {
			w.note("COMBINED_TYPE_CHANGED", func() string { return new.word() + " against " + old.word() })
			return
		}
		w.note("COMBINED_TYPE_EXTENDED", nil)
	}
	sizes := func() string { return fmt.Sprintf("%d against %d members", b, a) }
	// All members of an allOf must hold, so one less lets more pass; of the others,
	// one more does. From an allOf to a choice, both do.
	product := new.aspect == aspectAllOf || old.aspect == aspectAllOf && b < a
	switch {
	case a == b:
	case product && b > a:
		w.note("PRODUCT_TYPE_EXTENDED", sizes)
	case product:
		w.note("PRODUCT_TYPE_NARROWED", nil)
	case b > a:
		w.note("SUM_TYPE_EXTENDED", nil)
	default:
		w.note("SUM_TYPE_NARROWED", sizes)
	}
	if w.full() {
		return
	}
	partners := w.matching(old, new)
	if partners == nil {
		w.note("COMBINED_TYPE_SUBSCHEMAS_CHANGED", sizes)
		return
	}
	for i, j := range partners {
		w.below(w.member(old, i), w.member(new, j), old.members[i].at...)
	}
}

// matcher looks for a partner on the larger side for each member of the smaller
// one: a maximum matching by augmenting paths (Kuhn).
type matcher struct {
	w       *walk
	fits    func(few, many int) bool
	like    []int // of each on the smaller side: where to look first
	holder  []int // of each on the larger side, -1 without one
	visited []int // the attempt that looked at each last
}

// matching pairs each member of the smaller form with one of the other that fits:
// by index, old to new. nil if there is no such pairing.
func (w *walk) matching(old, new *form) map[int]int {
	few, many := len(old.members), len(new.members)
	swap := few > many
	if swap {
		few, many = many, few
	}
	m := matcher{w: w, holder: make([]int, many), visited: make([]int, many)}
	m.fits = func(i, j int) bool {
		if swap {
			i, j = j, i
		}
		return w.fits(w.member(old, i), w.member(new, j))
	}
	for j := range m.holder {
		m.holder[j] = -1
	}
	if swap {
		m.like = twins(new.members, old.members)
	} else {
		m.like = twins(old.members, new.members)
	}
	for i := range few {
		if !m.place(i, i+1) {
			return nil
		}
	}
	partners := make(map[int]int, few)
	for j, i := range m.holder {
		switch {
		case i < 0:
		case swap:
			partners[j] = i
		default:
			partners[i] = j
		}
	}
	return partners
}

// twins gives each member the index of one with the same text, else its own index:
// members mostly stay as they are or keep their place, and with a good first look
// few pairs need to be compared.
func twins(few, many []member) []int {
	at := map[uint64]int{}
	for j, m := range many {
		at[m.print] = j
	}
	list := make([]int, len(few))
	for i, m := range few {
		list[i] = i
		if j, ok := at[m.print]; ok && m.print != 0 {
			list[i] = j
		}
	}
	return list
}

// place finds a partner for i, moving others on where needed.
func (m *matcher) place(i, attempt int) bool {
	if !m.w.enter() {
		return true
	}
	defer func() { m.w.open-- }()
	n := len(m.holder)
	for _, taken := range []bool{false, true} { // free ones before those that must move
		for k := range n {
			j := (m.like[i] + k) % n
			if m.visited[j] == attempt || m.holder[j] >= 0 != taken {
				continue
			}
			if m.w.spent {
				return true
			}
			if !m.fits(i, j) {
				continue
			}
			m.visited[j] = attempt
			if !taken || m.place(m.holder[j], attempt) {
				m.holder[j] = i
				return true
			}
		}
	}
	return false
}
