package main

import (
	"fmt"
	"strconv"
	"time"

	"kazoohook/handlers"
)

// timeFlag is a time, or how long ago, as it was given. The service reads it again.
type timeFlag string

// UnmarshalText refuses what the service doesn't understand.
func (f *timeFlag) UnmarshalText(text []byte) error {
	if _, ok := handlers.ParseTime(string(text), time.Now()); !ok {
		return fmt.Errorf("%q is wrong; use %s", text, handlers.TimeForms)
	}
	*f = timeFlag(text)
	return nil
}

// positionFlag is a seq or a timeFlag.
type positionFlag string

// UnmarshalText refuses what the service doesn't understand.
func (f *positionFlag) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseInt(string(text), 10, 64); err != nil || n < 1 {
		if _, ok := handlers.ParseTime(string(text), time.Now()); !ok || err == nil {
			return fmt.Errorf("%q is wrong; use the seq of an event, from 1, %s", text, handlers.TimeForms)
		}
	}
	*f = positionFlag(text)
	return nil
}

// limitFlag is the longest time that something may take.
type limitFlag time.Duration

// UnmarshalText refuses a time that isn't longer than 0.
func (f *limitFlag) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is wrong; use a duration like 15s or 1m30s", text)
	}
	if d <= 0 {
		return fmt.Errorf("%s is too short; use e.g. 15s", text)
	}
	*f = limitFlag(d)
	return nil
}
