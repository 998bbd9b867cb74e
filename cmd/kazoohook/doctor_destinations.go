package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/delivery"
)

// checkDestinations checks each destination's address, TLS and login. It sends no
// event.
func (d *doctor) checkDestinations(ctx context.Context) ([]finding, bool) {
	if len(d.cfg.Destinations) == 0 {
		return one(fine("no destination is configured (FORWARD_URL, destinations)")), true
	}
	found := make([]finding, len(d.cfg.Destinations))
	var asking sync.WaitGroup
	for i, one := range d.cfg.Destinations {
		asking.Go(func() { found[i] = checkDestination(ctx, one) })
	}
	asking.Wait()
	usable := !slices.ContainsFunc(found, func(f finding) bool { return f.Status == statusFail })
	return found, usable
}

func checkDestination(ctx context.Context, d config.Destination) finding {
	advice := "events wait until it can be reached; to try it with a message: kazoohook ping " + d.Name
	compiled, problems := delivery.Compile(deliverySettings(d))
	if problems != nil {
		return broken("correct the setting", "%s: %s: %v", d.Name, problems[0].Place, problems[0].Err)
	}
	sender, err := delivery.NewSender(compiled, senderOptions(zerolog.Nop()))
	if err != nil {
		return broken(advice, "%s: %v", d.Name, err)
	}
	if err := errors.Join(sender.Check(ctx), sender.Close()); err != nil {
		return broken(advice, "%s: %v", d.Name, err)
	}
	return fine("%s: %s %s can be reached", d.Name, d.Type, addressOf([]config.Destination{d}, d.Name))
}
