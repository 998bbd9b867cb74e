package main

import (
	"maps"
	"slices"

	"kazoohook/config"
	"kazoohook/internal/delivery"
)

// deliverySettings turns a configured destination into delivery's settings.
func deliverySettings(d config.Destination) delivery.Settings {
	s := delivery.Settings{
		Name: d.Name, Type: delivery.Type(d.Type),
		Events: d.Events, Accounts: d.Accounts, Where: d.Where, Unverified: d.Unverified,
		Format: delivery.Format(d.Format), Body: d.Body, TypePrefix: d.TypePrefix,
		Retry: d.Retry, Concurrency: d.Concurrency, Rate: float64(d.Rate), Order: delivery.Order(d.Order), Timeout: d.Timeout,
		Start: delivery.Start{Beginning: d.Start.Beginning, Back: d.Start.Back},
	}
	switch s.Type {
	case delivery.TypeHTTP:
		s.HTTP = httpSettings(d)
	case delivery.TypeExec:
		s.Exec = &delivery.ExecSettings{Command: d.Command}
	case delivery.TypeAMQP:
		s.AMQP = &delivery.AMQPSettings{URL: d.URL.Reveal(), Exchange: d.Exchange, RoutingKey: d.RoutingKey}
	case delivery.TypeNATS:
		s.NATS = &delivery.NATSSettings{URL: d.URL.Reveal(), Credentials: d.Credentials, Subject: d.Subject}
	case delivery.TypePostgres:
		s.Postgres = &delivery.PostgresSettings{DSN: d.DSN.Reveal(), Table: d.Table}
	}
	return s
}

func httpSettings(d config.Destination) *delivery.HTTPSettings {
	h := &delivery.HTTPSettings{
		URL: d.URL.Reveal(), Headers: map[string]string{},
		CA: []byte(d.CA), Cert: []byte(d.Cert), Key: []byte(d.Key.Reveal()),
	}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		h.Headers[name] = d.Headers[name].Reveal()
	}
	for _, key := range d.SigningKeys() {
		h.Keys = append(h.Keys, key)
	}
	return h
}

// judgeDestination implements config.Compile: it tries expressions and templates on
// sample events.
func judgeDestination(d config.Destination) (problems []config.Problem, warnings []string) {
	compiled, found := delivery.Compile(deliverySettings(d))
	for _, p := range found {
		problems = append(problems, config.Problem{Variable: p.Place, Text: p.Err.Error()})
	}
	if compiled != nil {
		warnings = compiled.Warnings
	}
	return problems, warnings
}

// compileDestinations compiles the destinations of a configuration.
// judgeDestination has checked them.
func compileDestinations(given []config.Destination) ([]*delivery.Destination, error) {
	list := make([]*delivery.Destination, 0, len(given))
	for _, d := range given {
		compiled, problems := delivery.Compile(deliverySettings(d))
		if problems != nil {
			return nil, config.Problem{Variable: "destinations." + d.Name + "." + problems[0].Place, Text: problems[0].Err.Error()}
		}
		list = append(list, compiled)
	}
	return list, nil
}
