package topic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
)

// View is the set of topics at one moment. It is immutable, and so are the
// topics in it.
type View struct {
	byID     map[storage.TopicID]*Topic
	byName   map[string]*Topic
	folded   map[string]*Topic // by fold of the name
	all      []*Topic          // by name
	parts    int               // partitions of all topics
	defaults *defaults
	changed  chan struct{} // closed when a newer view stands
}

// newView builds a view that owns topics, which are under d. Two topics of one name mean that the
// store is damaged.
func newView(topics map[storage.TopicID]*Topic, d *defaults) (*View, error) {
	v := &View{
		byID:     topics,
		byName:   make(map[string]*Topic, len(topics)),
		folded:   make(map[string]*Topic, len(topics)),
		all:      make([]*Topic, 0, len(topics)),
		changed:  make(chan struct{}),
		defaults: d,
	}
	for _, t := range topics {
		if other, ok := v.byName[t.Name]; ok {
			return nil, fmt.Errorf("%w: topics %s and %s are both called %q", storage.ErrBroken, t.ID, other.ID, t.Name)
		}
		v.byName[t.Name] = t
		v.folded[fold(t.Name)] = t
		v.all = append(v.all, t)
		v.parts += int(t.Partitions)
	}
	slices.SortFunc(v.all, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	return v, nil
}

// ByName finds a topic by its name, nil if there is none.
func (v *View) ByName(name string) *Topic { return v.byName[name] }

// ByID finds a topic by its id, nil if there is none.
func (v *View) ByID(id storage.TopicID) *Topic { return v.byID[id] }

// All lists the topics by name. The caller must not change the slice.
func (v *View) All() []*Topic { return v.all }

// Partitions is the number of partitions of all topics.
func (v *View) Partitions() int { return v.parts }

// Changed is closed when a newer view stands: take it with Topics.View.
func (v *View) Changed() <-chan struct{} { return v.changed }
