package broker

const (
	// roomyHeap is from where on the budgets for what clients have the broker hold
	// are as large as they need to be: answers, large requests of the known and of
	// strangers, and unpacking for each of produce and fetch are about the half.
	roomyHeap = 2 << 30
	// leastBudget is what each has on the smallest machine: a few usual batches.
	leastBudget = 8 << 20
)

// budget is the part of a budget that fits the heap.
func (c Config) budget(usual int64) int64 {
	if c.HeapBytes <= 0 || c.HeapBytes >= roomyHeap {
		return usual
	}
	return min(usual, max(leastBudget, int64(float64(usual)*float64(c.HeapBytes)/roomyHeap)))
}
