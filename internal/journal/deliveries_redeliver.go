package journal

import "kazoohook/internal/journal/tables"

// apply makes deliveries wait again, as if no attempt had been made. It skips
// events after the cursor, which will be evaluated anyway, and events without a
// body.
func (cmd *redelivered) apply(t *tx) (res result, _ error) {
	cursor, err := t.cursor(cmd.Destination)
	if err != nil {
		return res, err
	}
	for i := range cmd.Rows {
		r := &cmd.Rows[i]
		if r.Seq > cursor {
			continue
		}
		res.count += t.counted(t.exec("INSERT INTO deliveries ("+deliveryColumns+") VALUES (?,?,0,1,?,?,?,0,0,0,0,0,0,NULL) "+
			"ON CONFLICT (seq, destination) DO UPDATE SET state = 0, redelivered = 1, attempts = 0, base = 0, due = 0, wait = 0 WHERE no_body = 0",
			r.Seq, cmd.Destination, r.ID[:], r.Event, r.Key))
	}
	return res, nil
}

func (cmd *discarded) apply(t *tx) (res result, _ error) {
	for _, seq := range cmd.Seqs {
		res.count += t.counted(t.exec("DELETE FROM deliveries WHERE seq = ? AND destination = ? AND state = 2", seq, cmd.Destination))
	}
	return res, nil
}

// apply gives up deliveries up to a number and deletes their events in the backlog.
func (cmd *dropped) apply(t *tx) (res result, _ error) {
	res.count = t.counted(t.exec("UPDATE deliveries SET no_body = 1, due = 0, wait = 0, at = CASE state WHEN 2 THEN at ELSE ? END, "+
		"error = CASE state WHEN 2 THEN error ELSE ? END, state = 2 WHERE seq <= ? AND no_body = 0",
		tables.Nanos(t.at.Wall), cmd.Reason, cmd.Through))
	t.exec("DELETE FROM backlog WHERE seq <= ?", cmd.Through)
	return res, nil
}
