package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const (
	dashboardFile  = "../../docs/grafana-dashboard.json"
	alertsFile     = "../../docs/alerts.yaml"
	alertCasesFile = "../../docs/alerts_test.yaml"
)

// dashboard is the part of Grafana's model that matters here.
type dashboard struct {
	Title  string
	Panels []struct {
		ID          int
		Type, Title string
		GridPos     struct{ H, W, X, Y int }
		Datasource  struct{ UID string }
		Targets     []struct{ Expr string }
	}
	Templating  struct{ List []struct{ Name, Type string } }
	Annotations struct{ List []struct{ Expr string } }
}

// checkDashboard checks that the dashboard can be read, is complete, and uses only
// metrics that are exposed.
func checkDashboard(t *testing.T, got exposed) {
	t.Helper()
	raw, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	var rows, used []string
	ids := map[int]bool{}
	expr := func(where, e string) {
		c := checkPromQL(e, got)
		used = append(used, c.names...)
		for _, p := range c.found {
			t.Errorf("%s: %s: %s\n\t%s", dashboardFile, where, p, e)
		}
	}
	for _, p := range d.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.GridPos.H == 0 {
			t.Errorf("%s: panel %q has an id or a place that doesn't fit", dashboardFile, p.Title)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: panel %q has no data source that can be chosen, or no query", dashboardFile, p.Title)
		}
		for _, q := range p.Targets {
			expr(p.Title, q.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		expr("annotation", a.Expr)
	}
	if want := []string{"Connected to Kazoo", "Requests", "Journal", "Consumers", "Destinations", "Never miss", "Crossbar", "Process", "Cluster"}; !slices.Equal(rows, want) {
		t.Errorf("%s: rows %q, want %q", dashboardFile, rows, want)
	}
	if len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" {
		t.Errorf("%s: the data source can't be chosen", dashboardFile)
	}
	for name := range got {
		if strings.HasPrefix(name, "kazoohook_") && !slices.Contains(used, name) {
			t.Errorf("%s doesn't show %s", dashboardFile, name)
		}
	}
}

// alertRules is Prometheus' rule file.
type alertRules struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// checkAlerts checks the same for the alert rules, and that each says what is wrong and
// what to do.
func checkAlerts(t *testing.T, got exposed) {
	t.Helper()
	raw, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	var rules alertRules
	if err := yaml.UnmarshalWithOptions(raw, &rules, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			for _, p := range checkPromQL(r.Expr, got).found {
				t.Errorf("%s: %s: %s\n\t%s", alertsFile, r.Alert, p, r.Expr)
			}
			if !strings.HasPrefix(r.Alert, "Kazoohook") || slices.Contains(names, r.Alert) {
				t.Errorf("%s: %q is no name, or is there twice", alertsFile, r.Alert)
			}
			names = append(names, r.Alert)
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
				t.Errorf("%s: %s: severity %q", alertsFile, r.Alert, r.Labels["severity"])
			}
			if len(r.Annotations["summary"]) < 20 || len(r.Annotations["description"]) < 60 || len(r.Annotations) != 2 {
				t.Errorf("%s: %s doesn't say what is wrong and what to do", alertsFile, r.Alert)
			}
		}
	}
	if len(names) < 15 {
		t.Errorf("%s: only %d rules", alertsFile, len(names))
	}
	checkAlertCases(t, names)
}

// checkAlertCases checks that each alert has a case in which it fires and one in which
// it doesn't. promtool runs the cases, behind the tag real.
func checkAlertCases(t *testing.T, alerts []string) {
	t.Helper()
	raw, err := os.ReadFile(alertCasesFile)
	if err != nil {
		t.Fatal(err)
	}
	var cases struct {
		Tests []struct {
			Checks []struct {
				Expr    string `yaml:"expr"`
				Samples []struct {
					Value float64 `yaml:"value"`
				} `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	fires, rests := map[string]bool{}, map[string]bool{}
	named := regexp.MustCompile(`alertname="(\w+)"`)
	for _, test := range cases.Tests {
		for _, c := range test.Checks {
			name := named.FindStringSubmatch(c.Expr)
			if name == nil || len(c.Samples) != 1 {
				t.Fatalf("%s: %s", alertCasesFile, c.Expr)
			}
			if c.Samples[0].Value > 0 {
				fires[name[1]] = true
			} else {
				rests[name[1]] = true
			}
		}
	}
	for _, name := range alerts {
		if !fires[name] || !rests[name] {
			t.Errorf("%s: %s fires: %t, doesn't: %t; both are needed", alertCasesFile, name, fires[name], rests[name])
		}
	}
}
