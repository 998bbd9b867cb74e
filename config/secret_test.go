package config

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"
)

// TestSecretIsMasked prints a secret in every way we know of.
func TestSecretIsMasked(t *testing.T) {
	t.Parallel()
	const value = "MARKED-SECRET-0123"
	type hidden struct{ s Secret } // fmt calls no methods on unexported fields
	type holder struct {
		S Secret
		P *Secret
		M map[string]Secret
	}
	s := NewSecret(value)
	var out bytes.Buffer
	for _, v := range []any{s, &s, hidden{s}, &hidden{s}, holder{s, &s, map[string]Secret{"k": s}}, []Secret{s}, &Config{HookSecret: s}, fmt.Errorf("x: %w %v", nil, s)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10v"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		if j, err := json.Marshal(v); err == nil {
			out.Write(j)
		}
		if x, err := xml.Marshal(v); err == nil {
			out.Write(x)
		}
		if y, err := yaml.Marshal(v); err == nil {
			out.Write(y)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		z := zerolog.New(&out)
		z.Info().Any("v", v).Interface("i", v).Msgf("%v", v)
	}
	z := zerolog.New(&out)
	z.Info().Stringer("s", s).Send()
	for _, leak := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprint([]byte(value))} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("leaked as %s", leak)
		}
	}
	if s.String() != "***" || fmt.Sprintf("%#v", s) != "***" || s.Reveal() != value {
		t.Errorf("%s %#v", s.String(), s)
	}
	if NewSecret("").String() != "" || !NewSecret("").Empty() || NewSecret("").Reveal() != "" {
		t.Error("an empty secret is none")
	}
	if !s.Equal(NewSecret(value)) || s.Equal(NewSecret("x")) || s.Equal(Secret{}) {
		t.Error("Equal")
	}
}
