package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsyscall "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// enterSandbox gives up what the program does not need any more, for good and
// in all its threads: the user it was (where another is named), every
// capability, also those that a program it started could get back; the files
// that it has no business with (Landlock); new sockets and programs (seccomp).
// What is open stays open, so it is called when the capture, the outputs and
// the listeners are. An open packet socket needs no capability, not even when
// its interface goes and comes back.
//
// The note says what this system does not offer, and is empty where all of it
// was had. After an error the program should end: it may have kept anything.
func enterSandbox(s sandbox) (note string, err error) {
	if s.Off {
		if s.User != "" {
			return "", errors.New("--user takes the sandbox: leave out --no-sandbox")
		}
		return "no sandbox: privileges are kept", nil
	}
	// The time zone is read from a file when it is first asked for.
	_ = time.Unix(0, 0).Local().String()

	// Libcap looks for the threads in /proc, so privileges go before files.
	if err := lowerBound(); err != nil {
		return "", err
	}
	if err := dropUser(s.User); err != nil {
		return "", err
	}
	if err := dropCapabilities(); err != nil {
		return "", err
	}
	var lacks []string
	lack, err := restrictFiles(s)
	if err != nil {
		return "", err
	}
	if lack != "" {
		lacks = append(lacks, lack)
	}
	if lack, err = refuseCalls(len(s.Listen) > 0); err != nil {
		return "", err
	}
	if lack != "" {
		lacks = append(lacks, lack)
	}
	if len(lacks) > 0 {
		note = "sandbox: " + strings.Join(lacks, "; ")
	}
	return note, nil
}

// dropUser becomes the user of a name or number, with the groups that are the
// user's own.
func dropUser(name string) error {
	if name == "" {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return fmt.Errorf("--user %s: no such user", name)
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return fmt.Errorf("--user %s: %w", name, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return fmt.Errorf("--user %s: %w", name, err)
	}
	if uid == os.Getuid() && gid == os.Getgid() {
		return nil
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups([]int{gid}) },
		func() error { return syscall.Setresgid(gid, gid, gid) },
		func() error { return syscall.Setresuid(uid, uid, uid) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("--user %s: %w", name, err)
		}
	}
	return nil
}

// lowerBound empties the bounding set, out of which a program that is started
// could draw. That takes a capability which a service does not have; its
// bounding set then holds what systemd left in it, and no_new_privs keeps
// anyone from drawing.
func lowerBound() error {
	if may, err := cap.GetProc().GetFlag(cap.Effective, cap.SETPCAP); err != nil || !may {
		return nil
	}
	var all []cap.Value
	for c := cap.Value(0); c < cap.MaxBits(); c++ {
		all = append(all, c)
	}
	if err := cap.DropBound(all...); err != nil {
		return fmt.Errorf("sandbox: bounding set: %w", err)
	}
	return nil
}

// dropCapabilities empties the other sets of capabilities, and has the kernel
// grant nothing again.
func dropCapabilities() error {
	if err := cap.ResetAmbient(); err != nil && !errors.Is(err, unix.EINVAL) { // before Linux 4.3 there is no such set
		return fmt.Errorf("sandbox: ambient capabilities: %w", err)
	}
	if err := cap.NewSet().SetProc(); err != nil {
		return fmt.Errorf("sandbox: capabilities: %w", err)
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("sandbox: no_new_privs: %w", err)
	}
	return nil
}

// landlockLacks is what the versions of Landlock before the first one named
// leave open.
var landlockLacks = []struct {
	before int
	what   string
}{
	{1, "this kernel has no Landlock (5.13 or later, enabled at boot), so any file can be opened that the user may open"},
	{3, "before Linux 6.2 Landlock lets files be truncated"},
	{4, "before Linux 6.7 Landlock lets any TCP port be bound"},
}

// restrictFiles leaves the program the files that it names, and says what the
// kernel cannot refuse.
func restrictFiles(s sandbox) (lack string, err error) {
	var rules []landlock.Rule
	for _, path := range s.Read {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("sandbox: %w", err)
		}
		access := landlock.AccessFSSet(llsyscall.AccessFSReadFile)
		if info.IsDir() {
			access |= llsyscall.AccessFSReadDir
		}
		rules = append(rules, landlock.PathAccess(access, path))
	}
	for _, path := range s.Write {
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("sandbox: %w", err)
		}
		access := landlock.AccessFSSet(llsyscall.AccessFSReadFile | llsyscall.AccessFSWriteFile | llsyscall.AccessFSTruncate)
		if info.IsDir() {
			access |= llsyscall.AccessFSReadDir | llsyscall.AccessFSMakeReg | llsyscall.AccessFSRemoveFile |
				llsyscall.AccessFSMakeDir | llsyscall.AccessFSRemoveDir
		}
		rules = append(rules, landlock.PathAccess(access, path))
	}
	for _, port := range s.Listen {
		rules = append(rules, landlock.BindTCP(port))
	}
	version, _ := llsyscall.LandlockGetABIVersion() // an error means none
	for _, l := range landlockLacks {
		if version < l.before && (l.before < 4 || len(s.Listen) > 0) {
			lack = l.what
			break
		}
	}
	if version < 1 {
		return lack, nil
	}
	// V9 and later want more of what is opened beforehand than they give here.
	if err := landlock.V8.BestEffort().Restrict(rules...); err != nil {
		return "", fmt.Errorf("sandbox: %w", err)
	}
	return lack, nil
}

// auditArch is the number by which seccomp knows the architecture, 0 where
// this program knows none.
func auditArch() uint32 {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	}
	return 0
}

// refuseCalls has the kernel refuse to start programs, to look into others,
// and to open sockets other than local ones; Internet sockets are allowed
// where ports are yet to be bound. Landlock alone would not do: it lets
// Multipath TCP pass, and UDP.
func refuseCalls(internet bool) (lack string, err error) {
	arch := auditArch()
	if arch == 0 {
		return "seccomp is not used on " + runtime.GOARCH, nil
	}
	// struct seccomp_data: nr (4), arch (4), instruction pointer (8), arguments
	// (8 each), in the machine's byte order, which is little endian on both.
	const (
		x32   = 0x40000000 // another numbering of the calls on amd64
		nr    = 0
		where = 4
		first = 16
	)
	refused := []uint32{unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_BPF, unix.SYS_IO_URING_SETUP}
	families := []uint32{unix.AF_UNIX}
	if internet {
		families = append(families, unix.AF_INET, unix.AF_INET6)
	}
	allow := bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	refuse := bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: where, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1}, refuse,
		bpf.LoadAbsolute{Off: nr, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32, SkipTrue: 1}, refuse,
	}
	for _, call := range refused {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1}, refuse)
	}
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SOCKET, SkipTrue: 1}, allow,
		bpf.LoadAbsolute{Off: first, Size: 4})
	for _, family := range families {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: family, SkipTrue: 1}, allow)
	}
	program = append(program, refuse)
	raw, err := bpf.Assemble(program)
	if err != nil {
		return "", fmt.Errorf("sandbox: seccomp: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(code)
	switch errno {
	case 0:
		return "", nil
	case unix.EINVAL, unix.ENOSYS:
		return "this kernel has no seccomp filters, so sockets and programs can be opened", nil
	}
	return "", fmt.Errorf("sandbox: seccomp: %w", errno)
}
