package model

import "portcullis.dev/mach"

// Role says what a parameter of a C function is about its argument.
type Role uint8

const (
	Value       Role = iota
	Disposition      // "Poly": the disposition of a right that the type leaves open
	Count            // "Cnt"
	Deallocate       // "Dealloc": whether the sender's memory goes away
)

var roleSuffix = [...]string{Value: "", Disposition: "Poly", Count: "Cnt", Deallocate: "Dealloc"}

// Param is a parameter of a C function.
type Param struct {
	Name string
	Role Role
	Arg  *Arg
	Out  bool // passed by reference and set
}

// UserParams returns the parameters of the client's C function in order.
func (r *Routine) UserParams() []Param { return r.params(false) }

// ServerParams returns the parameters of the server's C function in order.
func (r *Routine) ServerParams() []Param { return r.params(true) }

func (r *Routine) params(server bool) []Param {
	var out []Param
	for _, a := range r.Args {
		d := a.Direction
		if server && !d.ServerSees() || !server && !d.UserSees() {
			continue
		}
		add := func(role Role, by bool) { out = append(out, Param{a.Name + roleSuffix[role], role, a, by}) }
		request, reply := d.Trailer()
		add(Value, d.Returned() || !server && reply > 0)
		if request > 0 || reply > 0 || d >= WaitTime {
			continue
		}
		// The side that sends gives the disposition where the sender's is open, the other gets it where the receiver's is.
		sends := d.Sent() || !d.Returned()
		if sends && !server && a.Type.In == Polymorphic || sends && server && a.Type.Out == Polymorphic {
			add(Disposition, d == InOut)
		} else if d.Returned() && (server && a.Type.In == Polymorphic || !server && a.Type.Out == Polymorphic) {
			add(Disposition, true)
		}
		if a.Counted() {
			add(Count, d.Returned())
		}
		if a.Dealloc == Ask && (d.Sent() && !server || d.Returned() && server) {
			add(Deallocate, d.Returned() && server)
		}
	}
	return out
}

// Words returns how many 32-bit words the scalar parameters of the server's function take, as the table of a subsystem
// counts them: two for 64-bit numbers, one for what is passed by reference, the size of a token, and of a struct whose
// members have 32 bits or more; another struct counts for one.
func (r *Routine) Words() int {
	n := 0
	for _, p := range r.ServerParams() {
		request, _ := p.Arg.Direction.Trailer()
		switch t := p.Arg.Type; {
		case request == mach.TrailerSender || request == mach.TrailerAudit:
			n += t.Size() / 4
		case p.Role == Value && !p.Out && t.Shape == Scalar && t.Bits > 32:
			n += t.Bits / 32
		case p.Role == Value && !p.Out && t.Shape == Struct && !t.OutOfLine && t.Unit() >= 4:
			n += t.Size() / 4
		default:
			n++
		}
	}
	return n
}
