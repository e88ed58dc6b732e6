#include "textflag.h"

// func fetch(lines *[batchSize]uintptr, n int)
TEXT ·fetch(SB), NOSPLIT, $0-16
	MOVQ lines+0(FP), AX
	MOVQ n+8(FP), CX
	TESTQ CX, CX
	JLE  done
loop:
	MOVQ (AX), DX
	MOVBLZX (DX), R8
	ADDQ $8, AX
	DECQ CX
	JNZ  loop
done:
	RET
