package crossbar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

var (
	errEmptyBody   = errors.New("the answer is empty")
	errNotJSON     = errors.New("the answer is not JSON")
	errNotEnvelope = errors.New("the answer is not Kazoo's envelope")
	errTooLarge    = errors.New("the answer is too large")
)

// envelope is Crossbar's wrapper around every answer (kazoo 4.3
// applications/crossbar/src/api_util.erl create_resp_envelope).
type envelope struct {
	Status       string
	RequestID    string
	AuthToken    string
	Message      string
	Code         string            // "error", a number as a string
	Data         json.RawMessage   // empty if an array was expected and found
	Items        []json.RawMessage // the elements of data
	isList       bool
	NextStartKey json.RawMessage
	Timestamp    json.RawMessage
	Revision     string // of the document; "automatic" if the answer is not a document
	size         int64  // bytes of the answer
	text         string // beginning of an answer that is not JSON
}

// decodeEnvelope reads an answer of at most limit bytes, none of its elements
// larger than item. With list, an array in data is decoded item by item, so that no
// second copy of it is held. The envelope is never nil; after an error it holds
// what was read.
func decodeEnvelope(body io.Reader, list bool, limit, item int64) (*envelope, error) {
	env := &envelope{}
	m := &meter{r: body, total: limit, item: item}
	err := env.decode(m, list)
	env.size = m.read
	return env, err
}

func (env *envelope) decode(r *meter, list bool) error {
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	switch trimmed := bytes.TrimSpace(head); {
	case len(trimmed) == 0:
		return errEmptyBody
	case trimmed[0] != '{':
		env.text = string(head)
		if n == cap(head) {
			// Half a secret at the end would not be recognised.
			env.text = env.text[:strings.LastIndexAny(env.text, " \t\r\n")+1]
		}
		return errNotJSON
	}
	dec := json.NewDecoder(io.MultiReader(bytes.NewReader(head), r))
	if _, err := dec.Token(); err != nil {
		return syntax(err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return syntax(err)
		}
		if err := env.field(dec, fmt.Sprint(key), list, r); err != nil {
			return syntax(err)
		}
		r.whole(dec.InputOffset())
	}
	if _, err := dec.Token(); err != nil {
		return syntax(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			return fmt.Errorf("%w: more follows after its end", errNotJSON)
		}
		return syntax(err)
	}
	switch env.Status {
	case "success", "error", "fatal":
		return nil
	}
	// JSON of something else, such as a gateway.
	return errNotEnvelope
}

// syntax distinguishes an answer that is not JSON from one that broke off.
func syntax(err error) error {
	var se *json.SyntaxError
	var te *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.As(err, &se), errors.As(err, &te):
		return fmt.Errorf("%w: %w", errNotJSON, err)
	}
	return err
}

func (env *envelope) field(dec *json.Decoder, key string, list bool, m *meter) error {
	if key == "data" && list {
		return env.listData(dec, m)
	}
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	switch key {
	case "data":
		env.Data = raw
	case "status":
		env.Status = text(raw)
	case "request_id":
		env.RequestID = text(raw)
	case "auth_token":
		env.AuthToken = text(raw)
	case "message":
		env.Message = text(raw)
	case "error":
		env.Code = text(raw)
	case "next_start_key":
		env.NextStartKey = raw
	case "timestamp":
		env.Timestamp = raw
	case "revision":
		env.Revision = text(raw)
	}
	return nil
}

// listData reads data item by item if it is an array. The data of an error is an
// object or a string, which is read whole.
func (env *envelope) listData(dec *json.Decoder, m *meter) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('['):
		env.isList, env.Items = true, nil
		for dec.More() {
			var item json.RawMessage
			if err := dec.Decode(&item); err != nil {
				return err
			}
			env.Items = append(env.Items, item)
			m.whole(dec.InputOffset())
		}
		_, err = dec.Token()
		return err
	case json.Delim('{'):
		fields := map[string]json.RawMessage{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				return err
			}
			fields[fmt.Sprint(key)] = raw
		}
		if _, err := dec.Token(); err != nil {
			return err
		}
		env.Data, err = json.Marshal(fields)
		return err
	}
	env.Data, err = json.Marshal(tok)
	return err
}

// text returns a JSON scalar as text: a string's content, a number's digits, "" for
// null. Kazoo mixes these types.
func text(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	return strings.TrimSpace(string(raw))
}
