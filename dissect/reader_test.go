package dissect

import (
	"errors"
	"testing"
)

func TestReaderReadsInWireOrder(t *testing.T) {
	r := newReader(unhex("01 0203 040506 0708090a 0b0c0d0e0f101112" + // big-endian 1, 2, 3, 4, 8
		"0100 02000000" + // little-endian 2, 4
		"aabb"))
	numbers := []uint64{
		uint64(r.u8("a")), uint64(r.be16("b")), uint64(r.be24("c")), uint64(r.be32("d")), r.be64("e"),
		uint64(r.le16("f")), uint64(r.le32("g")),
	}
	want := []uint64{1, 0x0203, 0x040506, 0x0708090a, 0x0b0c0d0e0f101112, 1, 2}
	for i := range want {
		if numbers[i] != want[i] {
			t.Errorf("number %d is %#x, want %#x", i, numbers[i], want[i])
		}
	}
	if r.left() != 2 {
		t.Errorf("%d bytes left, want 2", r.left())
	}
	if b := r.bytes("rest", 2); len(b) != 2 || b[0] != 0xaa || cap(b) != 2 {
		t.Errorf("bytes: %x of capacity %d", b, cap(b))
	}
	r.empty("end")
	if r.err() != nil {
		t.Error(r.err())
	}
}

func TestReaderOutermostRunsShort(t *testing.T) {
	r := newReader([]byte{1, 2, 3})
	if r.be32("field") != 0 || r.err() != ErrShort {
		t.Errorf("err is %v, want ErrShort", r.err())
	}
	// After a failure nothing is read, and the first failure stays.
	if r.u8("next") != 0 || r.left() != 0 || r.bytes("more", 0) != nil {
		t.Error("something was read after a failure")
	}
	r.malformed("later", "not the first")
	if r.err() != ErrShort {
		t.Errorf("err became %v", r.err())
	}
}

func TestReaderNestedIsMalformed(t *testing.T) {
	r := newReader(unhex("ff 04 01 02 03 04 05"))
	r.u8("first")
	part := r.within("part", r.u8("length"))
	inner := part.within("inner", 3)
	inner.be16("x")
	inner.be16("y") // needs 2, has 1: byte 4 of the message
	var m *Malformed
	if !errors.As(r.err(), &m) {
		t.Fatalf("err is %v, want a *Malformed", r.err())
	}
	if m.Field != "y" || m.Offset != 4 || m.Reason != "need 2 bytes, enclosing length leaves 1" {
		t.Errorf("malformed: %v", m)
	}
	if part.u8("after") != 0 || r.u8("after") != 0 {
		t.Error("a failure inside did not stop the readers outside")
	}
}

func TestReaderMalformedIsWhereTheFieldBegins(t *testing.T) {
	r := newReader(unhex("ff 02 0102 03"))
	r.u8("first")
	part := r.within("part", r.u8("length"))
	part.be16("x")
	part.malformed("x", "not one")
	if err := r.err(); err == nil || err.Error() != "x at byte 2: not one" {
		t.Errorf("err is %v", err)
	}
}

func TestReaderPeekLeavesTheByte(t *testing.T) {
	r := newReader([]byte{7})
	if r.peek("x") != 7 || r.u8("x") != 7 || r.peek("next") != 0 || r.err() != ErrShort {
		t.Errorf("err is %v, %d bytes left", r.err(), r.left())
	}
}

func TestReaderWithinMoreThanThereIs(t *testing.T) {
	r := newReader([]byte{1, 2})
	part := r.within("part", 3)
	if part.u8("x"); r.err() != ErrShort {
		t.Errorf("err is %v, want ErrShort: the part may still come", r.err())
	}
	r = newReader([]byte{1, 2})
	if r.bytes("negative", -1); r.err() == nil {
		t.Error("a negative length was read")
	}
}

func TestReaderEmpty(t *testing.T) {
	r := newReader([]byte{1, 2})
	part := r.within("part", 2)
	part.u8("x")
	part.empty("part")
	if err := r.err(); err == nil || err.Error() != "part at byte 1: 1 bytes left over" {
		t.Errorf("err is %v", err)
	}
}
