package tables

import (
	"encoding/json"
	"fmt"

	"kazoohook/internal/event"
	"kazoohook/internal/journal/database"
	"kazoohook/internal/snapshot"
)

// Object is a row of the table objects: what is known of an object.
type Object struct {
	Key event.Key
	snapshot.Object
}

// ObjectColumns are the columns of the table objects.
const ObjectColumns = "key,type,id,account,name,fields,state,first,last,deleted_at,created_seq,deleted_seq," +
	"created,deleted,shown,seen,look,pass,touched"

// Values appends the values of one row to v, in the order of ObjectColumns.
func (o *Object) Values(v []any) []any {
	var fields any
	if len(o.Fields) > 0 {
		b, _ := json.Marshal(o.Fields) // strings can always be marshalled
		fields = string(b)
	}
	return append(v,
		o.Key[:], o.Type, o.ID, o.AccountID, o.Name, fields, int64(o.State), Nanos(o.FirstSeen), Nanos(o.LastSeen), Nanos(o.DeletedAt),
		o.CreatedSeq, o.DeletedSeq, int64(o.Created), int64(o.Deleted), int64(o.Shown), int64(o.Seen), o.Look, o.Pass, o.Touched)
}

// ScanObject reads one row that was selected by ObjectColumns.
func ScanObject(v database.Row) (o Object, err error) {
	copy(o.Key[:], v.Blob(0))
	o.Object = snapshot.Object{
		Type: v.Text(1), ID: v.Text(2), AccountID: v.Text(3), Name: v.Text(4), State: snapshot.State(v.Int(6)),
		FirstSeen: Time(v.Int(7)), LastSeen: Time(v.Int(8)), DeletedAt: Time(v.Int(9)), CreatedSeq: v.Int(10), DeletedSeq: v.Int(11),
		Created: snapshot.Clock(v.Int(12)), Deleted: snapshot.Clock(v.Int(13)), Shown: snapshot.Clock(v.Int(14)), Seen: snapshot.Clock(v.Int(15)),
		Look: v.Int(16), Pass: v.Int(17), Touched: v.Int(18),
	}
	if fields := v.Text(5); fields != "" {
		if err := json.Unmarshal([]byte(fields), &o.Fields); err != nil {
			return o, database.Damaged(fmt.Sprintf("the fields of %s %s aren't as they were written", o.Type, o.ID))
		}
	}
	return o, nil
}
