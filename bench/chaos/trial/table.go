package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kazoohook/internal/delivery/brokertest"
)

// table is the table of events in PostgreSQL, which the receiver makes.
type table struct{ *brokertest.Postgres }

// attemptsNoted records each inserted row, also one that exists already and changes
// nothing.
const attemptsNoted = `
CREATE TABLE arrivals (n bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), body text NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO public.arrivals (body) VALUES (NEW.body::text); RETURN NEW;
END $$;
CREATE FUNCTION follow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
	IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' AND object_identity = 'public.kazoo_events') THEN
		CREATE TRIGGER note BEFORE INSERT ON public.kazoo_events FOR EACH ROW EXECUTE FUNCTION note();
	END IF;
END $$;
CREATE EVENT TRIGGER follow ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION follow();`

func startTable(h *host, _ Options) (broker, server, error) {
	t := &table{brokertest.StartPostgres(h)}
	t.Exec(attemptsNoted)
	return t, t, nil
}

func (t *table) settings() []string {
	return []string{"type: postgres", "dsn: " + t.DSN()}
}

// refuse makes the table refuse every row.
func (t *table) refuse(_ context.Context, on bool) error {
	t.Exec("ALTER TABLE IF EXISTS kazoo_events DROP CONSTRAINT IF EXISTS refused")
	if on {
		t.Exec("ALTER TABLE IF EXISTS kazoo_events ADD CONSTRAINT refused CHECK (false) NOT VALID")
	}
	return nil
}

func (t *table) seen(ctx context.Context) (list []arrival, wrong []string, err error) {
	conn, err := pgx.Connect(ctx, t.DSN())
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // only read from
	rows, err := conn.Query(ctx, "SELECT event_id, count(*) FROM kazoo_events GROUP BY event_id")
	if err != nil {
		return nil, nil, err
	}
	count := map[string]int{}
	var id string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { count[id] = n; return nil }); err != nil {
		return nil, nil, err
	}
	if rows, err = conn.Query(ctx, "SELECT at, body FROM arrivals ORDER BY n"); err != nil {
		return nil, nil, err
	}
	var at time.Time
	var body string
	if _, err := pgx.ForEachRow(rows, []any{&at, &body}, func() error {
		e, err := ParseEvent([]byte(body))
		list = append(list, arrival{event: e, at: at, ok: true})
		return err
	}); err != nil {
		return nil, nil, fmt.Errorf("what is in the table: %w", err)
	}
	return list, rowsOnce(list, count), nil
}

// rowsOnce checks that each event that came has one row, and that there are no others.
func rowsOnce(list []arrival, count map[string]int) (wrong []string) {
	came := map[string]bool{}
	for _, a := range list {
		if n := count[a.event.ID]; n != 1 && !came[a.event.ID] {
			wrong = append(wrong, fmt.Sprintf("event %d (%s) has %d rows", a.event.Seq, a.event.ID, n))
		}
		came[a.event.ID] = true
	}
	if len(came) < len(count) {
		wrong = append(wrong, fmt.Sprintf("%d events have rows, and %d came", len(count), len(came)))
	}
	return wrong
}
