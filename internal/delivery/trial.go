package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kazoohook/internal/event"
)

// samples returns the sample events that the destination's patterns take, or all if
// they take none.
func (d *Destination) samples() []event.Event {
	var mine, all []event.Event
	for _, r := range event.Samples() {
		e := event.Decode(r)
		e.Journal = "SAMPLE00"
		all = append(all, e)
		if d.selects(e.Event) {
			mine = append(mine, e)
		}
	}
	if len(mine) == 0 {
		return all
	}
	return mine
}

// try renders a template for each sample. It is a problem if all fail, and a warning if
// some do.
func (d *Destination) try(p *problems, place string, render func(map[string]any) error) {
	var failed []string
	var first error
	samples := d.samples()
	for i := range samples {
		fields, err := fieldsOf(&samples[i])
		if err == nil {
			err = render(fields)
		}
		if err != nil {
			failed = append(failed, samples[i].Event)
			first = cmp.Or(first, err)
		}
	}
	switch {
	case len(failed) == 0:
	case len(failed) == len(samples):
		p.add(place, "it fails for each event, as for a %s: %w", failed[0], first)
	default:
		d.Warnings = append(d.Warnings, fmt.Sprintf("%s: it fails for %s, which become dead letters: %v", place, someOf(failed), first))
	}
}

// tryWhere evaluates the expression for each sample.
func (d *Destination) tryWhere(p *problems) {
	if d.where == nil {
		return
	}
	var failed []string
	var first error
	samples := d.samples()
	for i := range samples {
		fields, err := fieldsOf(&samples[i])
		if err == nil {
			_, err = d.where.match(fields)
		}
		if errors.Is(err, errNotBoolean) {
			p.add("where", "for a %s: %w", samples[i].Event, err)
			return
		}
		if err != nil {
			failed = append(failed, samples[i].Event)
			first = cmp.Or(first, err)
		}
	}
	if len(failed) > 0 {
		d.Warnings = append(d.Warnings, fmt.Sprintf("where: it fails for %s, which match therefore: %v", someOf(failed), first))
	}
}

// someOf lists up to three names.
func someOf(names []string) string {
	const most = 3
	names = slices.Compact(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
