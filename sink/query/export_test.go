package query

// Plainly is a request of which SQLite does all, row by row.
func Plainly(r Request) Request {
	r.plain = true
	return r
}
