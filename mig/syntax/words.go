package syntax

import "strings"

// words lists the words of the language, in lower case. A word cannot be the name of anything.
//
// Source: Apple's bootstrap_cmds, migcom.tproj/lexxer.l; GNU MIG, lexxer.l: facts about which words they reserve.
var words = map[string]uint8{
	"routine": both, "simpleroutine": both, "subsystem": both, "kernelserver": both, "kerneluser": both,
	"msgoption": both, "msgseqno": both, "waittime": both, "nowaittime": both,
	"in": both, "out": both, "inout": both, "requestport": both, "replyport": both, "ureplyport": both,
	"sreplyport": both, "array": both, "of": both, "struct": both, "c_string": both, "error": both,
	"serverprefix": both, "userprefix": both, "serverdemux": both, "rcsid": both,
	"import": both, "uimport": both, "simport": both, "type": both, "skip": both,
	"intran": both, "outtran": both, "destructor": both, "ctype": both, "cusertype": both, "cservertype": both,
	"polymorphic": both, "retcode": both, "dealloc": both, "notdealloc": both, "countinout": both,

	"usespecialreplyport": onlyApple, "consumeonsenderror": onlyApple, "sendtime": onlyApple, "nosendtime": onlyApple,
	"userimpl": onlyApple, "serverimpl": onlyApple, "sectoken": onlyApple, "serversectoken": onlyApple,
	"usersectoken": onlyApple, "audittoken": onlyApple, "serveraudittoken": onlyApple, "useraudittoken": onlyApple,
	"servercontexttoken": onlyApple, "iimport": onlyApple, "dimport": onlyApple, "samecount": onlyApple,
	"physicalcopy": onlyApple, "overwrite": onlyApple, "auto": onlyApple, "const": onlyApple,

	"intranpayload": onlyGNU, "islong": onlyGNU, "isnotlong": onlyGNU, "servercopy": onlyGNU,
}

const (
	onlyApple = 1 << Apple
	onlyGNU   = 1 << GNU
	both      = onlyApple | onlyGNU
)

// word returns the word of the language that text is, or "".
func (d Dialect) word(text string) string {
	if w := strings.ToLower(text); words[w]&(1<<d) != 0 {
		return w
	}
	return ""
}

// Directions of arguments, and the trailer words that stand in their place.
var directions = map[string]bool{
	"in": true, "out": true, "inout": true, "requestport": true, "replyport": true, "sreplyport": true,
	"ureplyport": true, "waittime": true, "sendtime": true, "msgoption": true, "msgseqno": true, "sectoken": true,
	"serversectoken": true, "usersectoken": true, "audittoken": true, "serveraudittoken": true,
	"useraudittoken": true, "servercontexttoken": true, "serverimpl": true, "userimpl": true,
}

var flags = map[string]bool{
	"samecount": true, "retcode": true, "physicalcopy": true, "overwrite": true, "dealloc": true, "notdealloc": true,
	"countinout": true, "auto": true, "const": true, "islong": true, "isnotlong": true, "servercopy": true,
}

// natives are Apple's types that are no data of the message. Nothing public uses them, and what Apple's compiler makes
// of them does not compile; they are known so that the message can say so.
var natives = map[string]bool{"PointerTo": true, "PointerToIfNot": true, "ValueOf": true}

// statementWords begin statements; they are offered where a statement is misspelt.
var statementWords = []string{
	"subsystem", "routine", "simpleroutine", "type", "skip", "import", "uimport", "simport", "iimport", "dimport",
	"msgoption", "waittime", "nowaittime", "sendtime", "nosendtime", "serverprefix", "userprefix", "serverdemux",
	"error", "rcsid", "usespecialreplyport", "consumeonsenderror", "UserTypeLimit", "OnStackLimit",
}
