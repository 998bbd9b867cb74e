package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"kazoohook/config"
	"kazoohook/internal/crossbar"
)

// reload is the source of settings, first and changed ones. It outlives the runs of the
// service within a process. Its state belongs to the caller of serveWith, and to reloads
// while the service runs.
type reload struct {
	hangUp <-chan os.Signal               // SIGHUP
	load   func() (*config.Config, error) // reads all settings

	taken *config.Config // in use, as they were read
	seen  string         // fingerprint of the files when taken was read; "": they are read once more

	looked string // fingerprint at the last look
	failed string // the last failure that was logged
}

// take notes settings that were just read and are in use from now on.
func (r *reload) take(cfg *config.Config) { r.taken, r.seen = cfg, fingerprint(cfg.SecretFiles()) }

// anew reads the settings before the service starts again. If they can't be read, those
// in use stay.
func (r *reload) anew(log zerolog.Logger) {
	next, err := r.load()
	if err != nil {
		log.Error().Err(err).Msg("the settings can't be read again: the previous ones stay in use")
		return
	}
	r.take(next)
}

// changed reports whether files differ from those that were read. A file counts only
// when two looks in a row find it alike: it may be half written.
func (r *reload) changed() bool {
	now := fingerprint(r.taken.SecretFiles())
	settled := now == r.looked
	r.looked = now
	return settled && now != r.seen
}

// again reads the settings and passes them to use, which applies all or nothing. After
// a failure the previous ones stay, and the next look tries again. The same failure is
// logged once, or whenever somebody asks for the settings to be read.
func (r *reload) again(log zerolog.Logger, asked bool, use func(next *config.Config) error) {
	before := fingerprint(r.taken.SecretFiles())
	next, err := r.load()
	msg := "the settings can't be read again: the previous ones stay in use"
	if err == nil {
		msg = "the new settings can't be used: the previous ones stay in use, and it is tried again"
		err = use(next)
	}
	if err != nil {
		r.seen = ""
		if failed := before + err.Error(); asked || failed != r.failed {
			r.failed = failed
			log.Error().Err(err).Msg(msg)
		}
		return
	}
	unsettled := fingerprint(r.taken.SecretFiles()) != before
	r.take(next)
	r.failed = ""
	if unsettled { // they may have changed after they were read
		r.seen = ""
	}
}

// reloadCheck is the interval of checking the files of secrets. A change is taken at
// the second look.
const reloadCheck = 5 * time.Second

// loginSettings are the settings of the login, which may change while running. So
// may hookSecretSettings, adminTokenSetting, and the contents of TLS_CERT_FILE and
// TLS_KEY_FILE.
func loginSettings() []string {
	return []string{"KAZOO_USERNAME", "KAZOO_PASSWORD", "KAZOO_CREDENTIALS", "KAZOO_HASH", "KAZOO_API_KEY"}
}

// hookSecretSettings are the settings of the hooks' secret: see takeHookSecret.
func hookSecretSettings() []string { return []string{"HOOK_SECRET", "HOOK_SECRET_PREVIOUS"} }

const adminTokenSetting = "ADMIN_TOKEN"

// reloads reads the settings again at each SIGHUP, and when the file of a secret
// changes. It ends with ctx.
func (s *service) reloads(ctx context.Context) error {
	r := s.reload
	if r == nil { // as in the demo
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(reloadCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangUp:
			s.readSettings(ctx, true)
		case <-tick.C:
			if r.changed() {
				s.readSettings(ctx, false)
			}
		}
	}
}

// fingerprint returns a digest of the files' content. Only regular files count: a pipe
// can't be read twice.
func fingerprint(files []string) string {
	sum := sha256.New()
	for _, path := range files {
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			content = []byte("\x00") // being replaced, or lost: loading reports it
		}
		one := sha256.Sum256(content)
		_, _ = sum.Write(one[:]) // never fails
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// readSettings reads and applies the settings, and the TLS certificate.
func (s *service) readSettings(ctx context.Context, asked bool) {
	if s.keyPair != nil {
		_ = s.keyPair.Reload() // it is logged
	}
	s.reload.again(s.logs.Log, asked, func(next *config.Config) error {
		return s.takeSettings(ctx, s.reload.taken, next)
	})
}

// takeSettings applies the settings that may change while running, and warns of those
// that may not. After an error nothing has changed.
func (s *service) takeSettings(ctx context.Context, current, next *config.Config) error {
	log := s.logs.Log
	s.setting.Lock()
	defer s.setting.Unlock()
	var taken []string
	token, login, secret := false, false, false
	for _, name := range current.Changed(next) {
		switch {
		case name == adminTokenSetting:
			token = true
		case slices.Contains(loginSettings(), name):
			login = true
		case slices.Contains(hookSecretSettings(), name):
			secret = true
		default:
			continue
		}
		taken = append(taken, name)
	}
	// What can fail comes first; of that, what changes something comes last.
	if login {
		if err := crossbar.CheckAuth(auth(next), s.cfg.KazooAccountName, s.cfg.KazooAccountRealm); err != nil {
			return fmt.Errorf("the login: %w", err)
		}
	}
	changed, err := s.takeDestinations(ctx, current, next)
	if err != nil {
		return fmt.Errorf("the destinations: %w", err)
	}
	if changed {
		taken = append(taken, "destinations")
	}
	if token {
		s.openAdmin(next.AdminToken.Reveal())
	}
	if login {
		if err := s.api.SetAuth(ctx, auth(next), s.cfg.KazooAccountName, s.cfg.KazooAccountRealm); err != nil {
			return err // the service stops
		}
		s.reconcileNow()
	}
	if secret {
		s.takeHookSecret(next)
	}
	s.inUse = s.inUse.With(next, slices.Concat(loginSettings(), hookSecretSettings(), forwardSettings(), []string{adminTokenSetting}))
	if n := s.node.Load(); n != nil {
		n.SetSettings(clusterSettings(s.inUse))
	}
	log.Info().Strs("changed", taken).Msg("settings and secrets read again")
	fixed := s.inUse.Changed(next)
	if s.inUse.DropsHookSecret(next) {
		fixed = append(fixed, "HOOK_SECRET")
	}
	if len(fixed) > 0 {
		log.Warn().Strs("settings", fixed).Msg("settings have changed that can't change while running: restart to apply them")
	}
	return nil
}

// takeHookSecret changes the hook secret. The new one is accepted before the hooks
// move to it. The previous one stays accepted, whatever HOOK_SECRET_PREVIOUS says,
// until the settings change again, because Kazoo may resend requests with it.
func (s *service) takeHookSecret(next *config.Config) {
	secret, previous := next.HookSecret.Reveal(), next.HookSecretPrevious.Reveal()
	if secret == "" { // it is the one in DATA_DIR
		secret = s.secret
	}
	if secret != s.secret && previous != s.secret {
		previous = s.secret
		s.logs.Log.Warn().Msg("HOOK_SECRET has changed and HOOK_SECRET_PREVIOUS is not the previous secret: the previous secret is still accepted, until the settings change again or a restart")
	}
	s.logs.secrets.Add(secret, previous)
	s.api.Mask(secret, previous)
	s.secret, s.previous = secret, previous
	s.openPublic()
	s.rotation.idle.Store(previous == "")
	switch t := s.leading(); {
	case t == nil: // the next leader begins with them
	case s.node.Load() != nil:
		s.moving = true // moveHooks waits until the other nodes accept it
	default:
		t.engine.SetSecrets(secret, previous)
	}
}
