package finding

import (
	"fmt"
	"io"
	"testing"
)

// BenchmarkWrite renders the reports of 2000 crashes, and 2000 predicted findings, in each form.
func BenchmarkWrite(b *testing.B) {
	const n = 2000
	for _, sample := range []string{"check", "explain"} {
		base := reports[sample]().Findings[0]
		var r Report
		for i := range n {
			f := base
			f.Where.Path = fmt.Sprintf("reports/%05d.ips", i)
			r.Findings = append(r.Findings, f)
		}
		r.Finish()
		for form, write := range renderings {
			b.Run(sample+"/"+form, func(b *testing.B) {
				for b.Loop() {
					if err := write(io.Discard, &r); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "findings/s")
			})
		}
	}
}
