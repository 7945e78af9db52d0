package validate

import "testing"

// TestMadeAgain shows nothing of a deleted topic under a new one of its name, and goes on
// with the numbers of rejections, by which others wait for the next.
func TestMadeAgain(t *testing.T) {
	f := newFixture(t)
	was := Topic{Name: "orders", ID: TopicID{1}, Value: Part{Level: Payload}}
	refuse := func(topic Topic) {
		t.Helper()
		if refused, err := f.Check(topic, batch(t, rec{value: framed(99)}), Origin{}); err != nil || len(refused) != 1 {
			t.Fatalf("got %+v, %v", refused, err)
		}
	}
	refuse(was)
	refuse(was)
	now := was
	now.ID = TopicID{2}
	empty := func(id TopicID) {
		t.Helper()
		list, _ := f.Since("orders", id, 0)
		if n := len(list) + len(f.Report("orders", id)) + int(f.Rejected("orders", id)) + int(f.Tally("orders", id).Records); n != 0 {
			t.Errorf("topic %x has what another one was refused: %+v", id[:1], list)
		}
	}
	empty(now.ID)
	refuse(now)
	empty(was.ID)
	if list, _ := f.Since("orders", now.ID, 2); len(list) != 1 || list[0].Seq != 3 || f.Rejected("orders", now.ID) != 1 || f.Tally("orders", now.ID).Records != 1 {
		t.Errorf("made again: %+v, %d refused of %d", list, f.Rejected("orders", now.ID), f.Tally("orders", now.ID).Records)
	}
}
