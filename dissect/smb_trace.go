package dissect

import "strconv"

// smb2Commands are the commands by number (MS-SMB2 section 2.2.1).
var smb2Commands = [...]string{"NEGOTIATE", "SESSION_SETUP", "LOGOFF", "TREE_CONNECT", "TREE_DISCONNECT", "CREATE", "CLOSE", "FLUSH",
	"READ", "WRITE", "LOCK", "IOCTL", "CANCEL", "ECHO", "QUERY_DIRECTORY", "CHANGE_NOTIFY", "QUERY_INFO", "SET_INFO", "OPLOCK_BREAK"}

// traceSMB2 names a message by its header.
func traceSMB2(h *smb2Header, facts *Facts) {
	name := "command " + strconv.Itoa(h.command)
	if h.command < len(smb2Commands) {
		name = smb2Commands[h.command]
	}
	signed := ""
	if h.flags&smb2Signed != 0 {
		signed = "true"
	}
	if h.flags&smb2Response == 0 {
		facts.name(ToServer, "SMB2 "+name+" request", Field{"signed", signed})
		return
	}
	says := "success"
	switch h.status {
	case 0:
	case statusPending:
		says = "PENDING"
	case statusMore:
		says = "MORE_PROCESSING_REQUIRED"
	default:
		says = smbStatus(h.status)
	}
	facts.name(ToClient, "SMB2 "+name+" response", Field{"status", says}, Field{"signed", signed})
}
