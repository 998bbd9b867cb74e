package chart

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestCluster: three and five nodes start together, know each other's names before
// they are ready, run on different machines, and only one is evicted at a time.
func TestCluster(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"three": 3, "five": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render(t, "--values", values(t)[name], "--set", "podDisruptionBudget.enabled=true")
			spec := m.set.Spec
			if *spec.Replicas != int32(n) || spec.PodManagementPolicy != apps.ParallelPodManagement || spec.MinReadySeconds == 0 {
				t.Errorf("%+v", spec)
			}
			nodes := m.services[spec.ServiceName]
			if nodes == nil || nodes.Spec.ClusterIP != core.ClusterIPNone || !nodes.Spec.PublishNotReadyAddresses {
				t.Fatalf("service of the nodes: %+v", nodes)
			}
			var peers []string
			for i := range n {
				peers = append(peers, fmt.Sprintf("%s-%d.%s.%s.svc:6222", m.set.Name, i, nodes.Name, space))
			}
			env := m.env(t)
			if env["CLUSTER_PEERS"] != strings.Join(peers, ",") || env["CLUSTER_NODE"] != "metadata.name" || env["CLUSTER_SECRET_FILE"] == "" {
				t.Errorf("%v", env)
			}
			if b := m.disruption.Spec; b.MaxUnavailable == nil || *b.MaxUnavailable != intstr.FromInt32(1) || b.MinAvailable != nil {
				t.Errorf("%+v", b)
			}
			if anti := m.set.Spec.Template.Spec.Affinity.PodAntiAffinity; name == "three" {
				if terms := anti.RequiredDuringSchedulingIgnoredDuringExecution; len(terms) != 1 || terms[0].TopologyKey != "kubernetes.io/hostname" {
					t.Errorf("%+v", anti)
				}
			} else if terms := anti.PreferredDuringSchedulingIgnoredDuringExecution; len(terms) != 1 || terms[0].PodAffinityTerm.TopologyKey != "kubernetes.io/hostname" {
				t.Errorf("%+v", anti)
			}
			if s := m.set.Spec.Template.Spec.TopologySpreadConstraints; len(s) != 1 || s[0].WhenUnsatisfiable != core.ScheduleAnyway {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestOneNode: a single node gets no setting of a cluster, even if the Secret still
// has secrets of one.
func TestOneNode(t *testing.T) {
	t.Parallel()
	m := render(t, "--values", values(t)["three"], "--set", "replicaCount=1")
	for name := range m.env(t) {
		if strings.HasPrefix(name, "CLUSTER_") {
			t.Errorf("%s is given", name)
		}
	}
	pod := m.set.Spec.Template.Spec
	if m.disruption != nil || pod.Affinity != nil || pod.TopologySpreadConstraints != nil || m.set.Spec.MinReadySeconds != 0 {
		t.Errorf("%+v %+v", m.disruption, pod)
	}
	if regexp.MustCompile(`(?i)port: 6222|:6222`).MatchString(m.text) {
		t.Error("the port of a cluster is open")
	}
}

// TestFromOneToThree: the fields of a StatefulSet that Kubernetes doesn't allow to
// change are the same for one node and for three, so that `helm upgrade` works.
func TestFromOneToThree(t *testing.T) {
	t.Parallel()
	fixed := func(n int) apps.StatefulSetSpec {
		spec := render(t, "--values", values(t)["three"], "--set", fmt.Sprintf("replicaCount=%d", n)).set.Spec
		spec.Replicas, spec.Template, spec.UpdateStrategy, spec.MinReadySeconds = nil, core.PodTemplateSpec{}, apps.StatefulSetUpdateStrategy{}, 0
		return spec
	}
	if diff := cmp.Diff(fixed(1), fixed(3)); diff != "" {
		t.Error(diff)
	}
}

// TestSelectors: every selector selects exactly the pods of the release, and all named
// ports and volumes exist.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for name, file := range values(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := render(t, "--values", file)
			pod := labels.Set(m.set.Spec.Template.Labels)
			selectors := map[string]map[string]string{"set": m.set.Spec.Selector.MatchLabels}
			ports := map[string]bool{}
			for _, p := range m.container(t).Ports {
				ports[p.Name] = true
			}
			for _, s := range m.services {
				selectors[s.Name] = s.Spec.Selector
				for _, p := range s.Spec.Ports {
					if !ports[p.TargetPort.StrVal] {
						t.Errorf("%s: no port %s", s.Name, p.TargetPort.StrVal)
					}
				}
			}
			if m.disruption != nil {
				selectors["budget"] = m.disruption.Spec.Selector.MatchLabels
			}
			if m.network != nil {
				selectors["network"] = m.network.Spec.PodSelector.MatchLabels
				for _, rule := range m.network.Spec.Ingress {
					for _, p := range rule.Ports {
						if !ports[p.Port.StrVal] {
							t.Errorf("network policy: no port %s", p.Port.StrVal)
						}
						if p.Port.StrVal == "cluster" && (len(rule.From) != 1 || !labels.SelectorFromSet(rule.From[0].PodSelector.MatchLabels).Matches(pod)) {
							t.Errorf("who reaches the port of the cluster: %+v", rule.From)
						}
					}
				}
			}
			for who, s := range selectors {
				if !labels.SelectorFromSet(s).Matches(pod) || s["app.kubernetes.io/instance"] != release {
					t.Errorf("%s selects %v", who, s)
				}
			}
			if m.monitor != nil {
				admin := m.services[release+"-admin"]
				if !labels.SelectorFromSet(m.monitor.Spec.Selector.MatchLabels).Matches(labels.Set(admin.Labels)) {
					t.Errorf("the monitor doesn't select %v", admin.Labels)
				}
				for _, s := range m.services {
					if s.Name != admin.Name && labels.SelectorFromSet(m.monitor.Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) {
						t.Errorf("the monitor selects %s, too", s.Name)
					}
				}
			}
			mountsExist(t, m)
		})
	}
}

// mountsExist: each mount has a volume or a claim, and each volume is mounted.
func mountsExist(t *testing.T, m *manifests) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range m.set.Spec.Template.Spec.Volumes {
		volumes[v.Name] = false
	}
	for _, c := range m.set.Spec.VolumeClaimTemplates {
		volumes[c.Name] = false
	}
	for _, mount := range m.container(t).VolumeMounts {
		if _, ok := volumes[mount.Name]; !ok {
			t.Errorf("no volume %s", mount.Name)
		}
		volumes[mount.Name] = true
	}
	for name, mounted := range maps.All(volumes) {
		if !mounted {
			t.Errorf("volume %s is not mounted", name)
		}
	}
	if claims := m.set.Spec.VolumeClaimTemplates; len(claims) != 1 || !slices.Equal(claims[0].Spec.AccessModes, []core.PersistentVolumeAccessMode{core.ReadWriteOnce}) {
		t.Errorf("%+v", claims)
	}
}
