package database

import "strings"

// Inserter writes rows of one table, several with each statement. That costs much
// less than one statement for each row.
type Inserter struct {
	sql    [3]string // a statement for each of sizes
	values []any
}

func sizes() [3]int { return [3]int{16, 4, 1} }

// NewInserter returns an Inserter. into begins its SQL, e.g. "INSERT INTO events".
func NewInserter(into, columns string) *Inserter {
	in := &Inserter{}
	marks := ",(" + Marks(strings.Count(columns, ",")+1) + ")"
	for i, n := range sizes() {
		in.sql[i] = into + " (" + columns + ") VALUES " + strings.Repeat(marks, n)[1:]
	}
	return in
}

// Insert writes n rows; row appends the values of the i-th to v.
func (in *Inserter) Insert(c *Conn, n int, row func(i int, v []any) []any) error {
	done := 0
	for i, size := range sizes() {
		for ; n-done >= size; done += size {
			v := in.values[:0]
			for k := range size {
				v = row(done+k, v)
			}
			err := c.Exec(in.sql[i], v...)
			clear(v)
			in.values = v
			if err != nil {
				return err
			}
		}
	}
	return nil
}
