// Package kube_test lints and renders the Helm chart as helm does, and holds
// what comes out against the types of Kubernetes, strictly.
package kube_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chartDir = "../../../deploy/helm/sallyport"

// values reads one of the chart's examples, with changes on top.
func values(t *testing.T, name string, changes ...string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(chartDir, "ci", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]any{}
	for _, text := range append([]string{string(b)}, changes...) {
		var over map[string]any
		if err := yaml.Unmarshal([]byte(text), &over); err != nil {
			t.Fatal(err)
		}
		v = util.CoalesceTables(over, v)
	}
	return v
}

func render(v map[string]any) (map[string]string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	caps := *common.DefaultCapabilities
	top, err := util.ToRenderValues(chart, v, common.ReleaseOptions{Name: "gate", Namespace: "sallyport", IsInstall: true}, &caps)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, top)
}

// objects are what a rendered chart has, by kind, and by name where there are several.
type objects struct {
	workload *appsv1.StatefulSet
	config   *corev1.ConfigMap
	services map[string]*corev1.Service
	account  *corev1.ServiceAccount
	budget   *policyv1.PodDisruptionBudget
	network  *networkingv1.NetworkPolicy
	ingress  *networkingv1.Ingress
	monitor  *serviceMonitor
}

// serviceMonitor is what we use of a kind that is not of Kubernetes itself.
type serviceMonitor struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// parse decodes every manifest into the type of its kind: an unknown field, a
// wrong type or a key that is there twice is an error.
func parse(t *testing.T, files map[string]string) objects {
	t.Helper()
	o := objects{services: map[string]*corev1.Service{}}
	for name, text := range files {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, doc := range strings.Split(text, "\n---\n") {
			if err := o.add([]byte(doc)); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, doc)
			}
		}
	}
	return o
}

func (o *objects) add(doc []byte) error {
	var is struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(doc, &is); err != nil {
		return err
	}
	into := map[string]any{
		"StatefulSet": &o.workload, "ConfigMap": &o.config, "ServiceAccount": &o.account, "PodDisruptionBudget": &o.budget,
		"NetworkPolicy": &o.network, "Ingress": &o.ingress, "ServiceMonitor": &o.monitor,
	}
	switch target, known := into[is.Kind]; {
	case known:
		return yaml.UnmarshalStrict(doc, target)
	case is.Kind == "Service":
		var s corev1.Service
		err := yaml.UnmarshalStrict(doc, &s)
		o.services[s.Name] = &s
		return err
	case is.Kind == "" && len(bytes.TrimSpace(doc)) == 0:
		return nil
	}
	return fmt.Errorf("a %q is not expected", is.Kind)
}

func rendered(t *testing.T, v map[string]any) objects {
	t.Helper()
	files, err := render(v)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, files)
}

func TestTheChartPassesHelmsLint(t *testing.T) {
	for _, name := range []string{"embedded", "cluster"} {
		l := lint.RunAll(chartDir, values(t, name), "sallyport")
		for _, m := range l.Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

func TestEmbeddedIsOneProcessWithAVolumeThatStays(t *testing.T) {
	o := rendered(t, values(t, "embedded", "replicas: 5"))
	if *o.workload.Spec.Replicas != 1 {
		t.Errorf("%d processes share one embedded log", *o.workload.Spec.Replicas)
	}
	if p := o.workload.Spec.PersistentVolumeClaimRetentionPolicy; p.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType || p.WhenScaled != p.WhenDeleted {
		t.Error("the volume does not stay")
	}
	if o.budget != nil {
		t.Error("a disruption budget for one pod keeps its node from being drained")
	}
	if o.monitor != nil || o.ingress != nil {
		t.Error("something that nobody asked for")
	}
	if strings.Contains(o.config.Data["config.yaml"], "nats") {
		t.Error("an embedded log names a cluster")
	}
}

func TestClusterSpreadsItsReplicas(t *testing.T) {
	o := rendered(t, values(t, "cluster"))
	if *o.workload.Spec.Replicas != 3 || o.budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Error("not three, of which one may be away")
	}
	spread := o.workload.Spec.Template.Spec.TopologySpreadConstraints
	if len(spread) != 2 || spread[0].WhenUnsatisfiable != corev1.DoNotSchedule || spread[0].TopologyKey != "kubernetes.io/hostname" {
		t.Errorf("spread is %+v", spread)
	}
	for _, c := range spread {
		if !selects(c.LabelSelector.MatchLabels, o.workload.Spec.Template.Labels) {
			t.Error("the spread counts other pods")
		}
	}
	for _, want := range []string{"nkey_seed_file: /run/secrets/sallyport/nats/seed", "replicas: 3", "cert_file: /run/secrets/sallyport/tls/tls.crt"} {
		if !strings.Contains(o.config.Data["config.yaml"], want) {
			t.Errorf("the configuration lacks %s", want)
		}
	}
}

func TestEveryPodIsRestricted(t *testing.T) {
	for _, name := range []string{"embedded", "cluster"} {
		pod := rendered(t, values(t, name)).workload.Spec.Template.Spec
		s := pod.SecurityContext
		if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: the pod is not restricted: %+v", name, s)
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("%s: the pod gets a token of Kubernetes", name)
		}
		for _, c := range pod.Containers {
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Drop) != 1 || s.Capabilities.Drop[0] != "ALL" || s.Privileged != nil {
				t.Errorf("%s: the container is not restricted: %+v", name, s)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s: no bounds", name)
			}
		}
		for _, v := range pod.Volumes {
			if v.HostPath != nil {
				t.Errorf("%s: the host's %s", name, v.HostPath.Path)
			}
			if v.Secret != nil && *v.Secret.DefaultMode != 0o440 {
				t.Errorf("%s: the secret %s has mode %o", name, v.Name, *v.Secret.DefaultMode)
			}
		}
	}
}

func TestEveryMountHasAVolume(t *testing.T) {
	for _, name := range []string{"embedded", "cluster"} {
		set := rendered(t, values(t, name)).workload.Spec
		there := map[string]bool{}
		for _, v := range set.Template.Spec.Volumes {
			there[v.Name] = true
		}
		for _, v := range set.VolumeClaimTemplates {
			there[v.Name] = true
		}
		for _, m := range set.Template.Spec.Containers[0].VolumeMounts {
			if !there[m.Name] {
				t.Errorf("%s: no volume %s", name, m.Name)
			}
			delete(there, m.Name)
		}
		for v := range there {
			t.Errorf("%s: the volume %s is mounted nowhere", name, v)
		}
	}
}

func TestProbesAndStoppingFitTheSettings(t *testing.T) {
	o := rendered(t, values(t, "cluster"))
	pod := o.workload.Spec.Template.Spec
	if *pod.TerminationGracePeriodSeconds != 20+15+20 {
		t.Errorf("the grace period is %d s", *pod.TerminationGracePeriodSeconds)
	}
	c := pod.Containers[0]
	if c.LivenessProbe.HTTPGet.Path != "/livez" || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.ReadinessProbe.HTTPGet.Scheme != corev1.URISchemeHTTPS {
		t.Error("the probes ask for something else")
	}
	if r := c.ReadinessProbe; r.PeriodSeconds*r.FailureThreshold >= 20 {
		t.Error("the endpoint is still there when the server stops taking requests")
	}
	plain := rendered(t, values(t, "embedded")).workload.Spec.Template.Spec.Containers[0]
	if plain.LivenessProbe.HTTPGet.Scheme != corev1.URISchemeHTTP {
		t.Error("without a certificate the probe asks by TLS")
	}
}

func TestServicesLeadToThePods(t *testing.T) {
	o := rendered(t, values(t, "cluster"))
	ports := map[string]bool{}
	for _, p := range o.workload.Spec.Template.Spec.Containers[0].Ports {
		ports[p.Name] = true
	}
	for name, s := range o.services {
		if !selects(s.Spec.Selector, o.workload.Spec.Template.Labels) {
			t.Errorf("%s selects other pods", name)
		}
		for _, p := range s.Spec.Ports {
			if !ports[p.TargetPort.String()] {
				t.Errorf("%s leads to port %s", name, p.TargetPort.String())
			}
		}
	}
	metrics := o.services["gate-sallyport-metrics"]
	if !selects(o.monitor.Spec.Selector.MatchLabels, metrics.Labels) || selects(o.monitor.Spec.Selector.MatchLabels, o.services["gate-sallyport"].Labels) {
		t.Error("the monitor is not for the metrics alone")
	}
	backend := o.ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if s := o.services[backend.Name]; s == nil || s.Spec.Ports[0].Name != backend.Port.Name {
		t.Error("the ingress leads nowhere")
	}
	if !selects(o.network.Spec.PodSelector.MatchLabels, o.workload.Spec.Template.Labels) || !selects(o.budget.Spec.Selector.MatchLabels, o.workload.Spec.Template.Labels) {
		t.Error("a policy is for other pods")
	}
}

// Nothing that the chart renders holds a secret, and nothing is rendered without one.
func TestWhatMustNotBeRenderedIsRefused(t *testing.T) {
	for name, change := range map[string]string{
		"no key-encryption key":           `keyEncryptionKey: {existingSecret: ""}`,
		"no image":                        `image: {repository: ""}`,
		"no tag and no digest":            `image: {tag: ""}`,
		"the tag latest":                  `image: {tag: latest}`,
		"a digest that is none":           `image: {digest: "sha256:abc"}`,
		"an address that is not https":    `baseURL: http://sallyport.example.com`,
		"an address with a slash":         `baseURL: https://sallyport.example.com/`,
		"a cluster without an address":    `mode: cluster`,
		"a third mode":                    `mode: both`,
		"a setting that is none":          `replica: 3`,
		"a setting that is none, in one":  `tls: {secret: x}`,
		"fewer than three copies":         `nats: {replicas: 1}`,
		"an ingress without a host":       `ingress: {enabled: true}`,
		"an organisation that is no name": `organisations: [Acme]`,
		"no time to finish requests":      `shutdown: {drainSeconds: 0}`,
	} {
		if _, err := render(values(t, "embedded", change)); err == nil {
			t.Errorf("%s is rendered", name)
		} else if !strings.Contains(err.Error(), "schema") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The server itself reads the configuration that the chart made, in
// e2e/deploy; this writes it where that looks.
func TestWriteTheConfigurations(t *testing.T) {
	dir := os.Getenv("SALLYPORT_RENDERED")
	if dir == "" {
		return
	}
	var all error
	for _, name := range []string{"embedded", "cluster"} {
		config := rendered(t, values(t, name)).config.Data["config.yaml"]
		all = errors.Join(all, os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(config), 0o600))
	}
	if all != nil {
		t.Fatal(all)
	}
}

// selects tells whether labels are among those of something.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}
