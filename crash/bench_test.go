package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sampleReport builds a whole .ips report as macOS writes it: 20 threads, 300 images, about 80 KB.
func sampleReport(seed uint64) []byte {
	rnd := rand.New(rand.NewPCG(seed, 1))
	code := []uint64{2305843037130981377, 2305843030688530432, 2305845208236959491, 2305843146652647939}[seed%4]
	name := []string{"SET_EXCEPTION_BEHAVIOR", "THREAD_SET_STATE", "INVALID_NAME", "ILLEGAL_MOVE"}[seed%4]
	port := code & 0xffffffff
	var b strings.Builder
	uuid := func() string {
		return fmt.Sprintf("%08x-%04x-3%03x-8%03x-%012x", rnd.Uint32(), rnd.Uint32()&0xffff, rnd.Uint32()&0xfff,
			rnd.Uint32()&0xfff, rnd.Uint64()&0xffffffffffff)
	}
	fmt.Fprintf(&b, `{"app_name":"Sample%d","timestamp":"2026-01-02 03:04:05.00 +0000","app_version":"1.2.3",`+
		`"sroute_id":12,"slice_uuid":"%s","build_version":"123","platform":1,"bundleID":"com.example.sample",`+
		`"share_with_app_devs":1,"is_first_party":0,"bug_type":"309","os_version":"macOS 26.4 (25E246)",`+
		`"roots_installed":0,"name":"Sample","incident_id":"%s"}`+"\n", seed, uuid(), uuid())
	fmt.Fprintf(&b, "{\n  \"uptime\" : 1000,\n  \"procRole\" : \"Foreground\",\n  \"version\" : 2,\n  \"userID\" : 501,\n"+
		"  \"modelCode\" : \"Mac15,7\",\n  \"osVersion\" : {\n    \"train\" : \"macOS 26.4\",\n    \"build\" : \"25E246\",\n"+
		"    \"releaseType\" : \"User\"\n  },\n  \"captureTime\" : \"2026-01-02 03:04:05.0000 +0000\",\n  \"incident\" : \"%s\",\n"+
		"  \"pid\" : %d,\n  \"cpuType\" : \"ARM-64\",\n  \"procName\" : \"Sample%d\",\n"+
		"  \"procPath\" : \"\\/Applications\\/Sample.app\\/Contents\\/MacOS\\/Sample%d\",\n  \"sip\" : \"enabled\",\n"+
		"  \"codeSigningFlags\" : 570491649,\n", uuid(), 100+seed, seed, seed)
	fmt.Fprintf(&b, "  \"exception\" : {\"port\":%d,\"guardId\":0,\"codes\":\"0x%016x, 0x0000000000000000\",\"violations\":[\"%s\"],"+
		"\"message\":\" %s on mach port %d (guarded with 0x0000000000000000)\",\"subtype\":\"GUARD_TYPE_MACH_PORT\","+
		"\"type\":\"EXC_GUARD\",\"rawCodes\":[%d,0]},\n", port, 0x09c00000|port&0xfffff, name, name, port, 0x09c00000|port&0xfffff)
	fmt.Fprintf(&b, "  \"termination\" : {\"namespace\":\"GUARD\",\"flags\":2,\"code\":%d},\n", code)
	faulting := rnd.IntN(20)
	fmt.Fprintf(&b, "  \"faultingThread\" : %d,\n  \"threads\" : [", faulting)
	for t := range 20 {
		if t > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,`, 1000+t)
		if t == faulting {
			b.WriteString(`"triggered":true,"threadState":{"x":[`)
			for i := range 29 {
				if i > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, `{"value":%d}`, rnd.Uint64())
			}
			b.WriteString(`],"flavor":"ARM_THREAD_STATE64","lr":{"value":6},"pc":{"value":7,"matchesCrashFrame":1}},`)
		}
		b.WriteString(`"queue":"com.apple.main-thread","frames":[{"imageOffset":7220,"symbol":"mach_msg2_trap",` +
			`"symbolLocation":8,"imageIndex":1},{"imageOffset":81692,"symbol":"mach_msg2_internal","symbolLocation":76,"imageIndex":1}`)
		for range 3 + rnd.IntN(10) {
			fmt.Fprintf(&b, `,{"imageOffset":%d,"symbol":"function%d(int, char const*)","symbolLocation":%d,"imageIndex":%d}`,
				rnd.IntN(1<<20), rnd.IntN(1000), rnd.IntN(400), rnd.IntN(300))
		}
		b.WriteString("]}")
	}
	b.WriteString("],\n  \"usedImages\" : [\n")
	for i := range 300 {
		if i > 0 {
			b.WriteString(",\n")
		}
		path, src := fmt.Sprintf(`\/System\/Library\/PrivateFrameworks\/Part%d.framework\/Versions\/A\/Part%d`, i, i), "P"
		switch i {
		case 0:
			path = fmt.Sprintf(`\/Applications\/Sample.app\/Contents\/MacOS\/Sample%d`, seed)
		case 1:
			path = `\/usr\/lib\/system\/libsystem_kernel.dylib`
		}
		fmt.Fprintf(&b, "  {\n    \"source\" : \"%s\",\n    \"arch\" : \"arm64e\",\n    \"base\" : %d,\n    \"size\" : 65536,\n"+
			"    \"uuid\" : \"%s\",\n    \"path\" : \"%s\",\n    \"name\" : \"%s\"\n  }", src, uint64(i+1)<<24, uuid(), path,
			path[strings.LastIndexByte(path, '/')+1:])
	}
	b.WriteString("\n],\n  \"sharedCache\" : {\n  \"base\" : 6442450944,\n  \"size\" : 5000000000,\n  \"uuid\" : \"" + uuid() + "\"\n},\n")
	summary, _ := json.Marshal(strings.Repeat("MALLOC                             1.3G       45 \n", 60))
	fmt.Fprintf(&b, "  \"vmSummary\" : %s,\n  \"legacyInfo\" : {\n  \"threadTriggered\" : {\n    \"queue\" : \"com.apple.main-thread\"\n  }\n}\n}\n", summary)
	return []byte(b.String())
}

// BenchmarkExplainFolder reads and explains a folder of whole reports; the figure of interest is reports/s.
func BenchmarkExplainFolder(b *testing.B) {
	const reports = 500
	dir := b.TempDir()
	bytes := 0
	for i := range reports {
		data := sampleReport(uint64(i))
		bytes += len(data)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("Sample-%03d.ips", i)), data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		r := ExplainFiles([]string{dir}, nil, nil)
		if len(r.Findings) != reports || len(r.Unread) != 0 {
			b.Fatalf("%d findings, unread %v", len(r.Findings), r.Unread)
		}
	}
	b.ReportMetric(float64(reports)*float64(b.N)/b.Elapsed().Seconds(), "reports/s")
	b.ReportMetric(float64(bytes)/reports, "B/report")
}
