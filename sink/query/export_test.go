package query

// Plainly is a request of which SQLite does all, row by row.
func Plainly(r Request) Request {
	r.plain = true
	return r
}

// Remember makes an engine remember of logs what fits into some bytes, in blocks of
// 1<<shift offsets. Before the first query.
func Remember(e *Engine, shift int, maxBytes int64) { e.blocks = newBlocks(shift, maxBytes) }

// Remembered is how many blocks an engine remembers.
func Remembered(e *Engine) int { return len(e.blocks.by) }

// Keep makes an engine keep the rows of joins after some cost, within some bytes.
func Keep(e *Engine, after, maxBytes int64) { e.memoAfter, e.maxMemo = after, maxBytes }

// AppendFloat appends a float as JSON and CSV have it.
func AppendFloat(b []byte, f float64) []byte { return appendFloat(b, f) }
