#!/usr/bin/env python3
"""Makes a jar of what Android's signature files say: classes that can be compiled against, and do nothing.

  usage: classes.py api/current.txt OUT.jar

The file (format 2.0) holds the public API alone, one line a member. What comes of a line is written as the class file format
has it (JVM specification, chapter 4), without code: compilers do not look for any.
"""
import re
import struct
import sys
import zipfile

# What the JDK has is the JDK's.
OF_THE_JDK = re.compile(r"java\.|javax\.(?!microedition)|org\.w3c\.|org\.xml\.|junit\.")
FLAGS = {"public": 1, "private": 2, "protected": 4, "static": 8, "final": 16, "volatile": 64, "transient": 128, "abstract": 1024}
PRIMITIVES = dict(zip("byte char double float int long short boolean void".split(), "BCDFIJSZV"))
NULLABILITY = {"NonNull", "Nullable"}
INTERFACE, ANNOTATION, ENUM, SUPER, VARARGS = 0x200, 0x2000, 0x4000, 0x20, 0x80


def after(text, start, opening, closing):
    """Where what opens at `start` has closed; strings are skipped."""
    depth = 0
    for match in re.compile(r'"(?:\\.|[^"\\])*"|[' + re.escape(opening + closing) + "]").finditer(text, start):
        depth += {opening: 1, closing: -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise ValueError(text)


def annotated(text):
    """The names of the annotations that stand before it, and what stands behind them."""
    names = set()
    while match := re.match(r"\s*@(?!interface)([\w.]+)\s*", text):
        names.add(match[1].rsplit(".", 1)[-1])
        end = match.end()
        if text[end : end + 1] == "(":
            end = after(text, end, "(", ")")
        text = text[end:]
    return names, text.strip()


def split(text, separators):
    """Parts between separators that are in no brackets."""
    parts, depth, part = [], 0, ""
    for letter in text:
        depth += (letter in "<({") - (letter in ">)}")
        if depth == 0 and letter in separators:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [part.strip() for part in parts + [part] if part.strip()]


def internal(name):
    """The name of a class as it stands in class files: packages begin small, and the first that does not is a class."""
    if "." not in name:
        return "java/lang/" + name
    package, rest = re.match(r"((?:[a-z]\w*\.)*)(.*)", name).groups()
    return package.replace(".", "/") + rest.replace(".", "$")


class Types:
    """Descriptors and signatures, within what type parameters mean."""

    def __init__(self, around=None):
        self.erasures = dict(around.erasures) if around else {}
        # Classes inside of others that were named.
        self.nested = around.nested if around else set()

    def declare(self, text):
        """Takes `<T extends A & B, U>` in, and gives its signature."""
        declared = [re.match(r"(\w+)(?:\s+extends\s+(.*))?", part).groups() for part in split(text, ",")]
        self.erasures |= {name: "Ljava/lang/Object;" for name, _ in declared}
        signature = ""
        for name, bounds in declared:
            bounds = split(bounds or "Object", "&")
            self.erasures[name] = self.of(bounds[0])[0]
            signature += name + "".join(":" + self.of(bound)[1] for bound in bounds)
        return f"<{signature}>"

    def of(self, text):
        """Descriptor and signature of a type."""
        _, text = annotated(text)
        if text.endswith(("...", "[]")):
            inner = self.of(text[: -3 if text.endswith("...") else -2])
            return "[" + inner[0], "[" + inner[1]
        if text in PRIMITIVES:
            return PRIMITIVES[text], PRIMITIVES[text]
        if text in self.erasures:
            return self.erasures[text], f"T{text};"
        name, _, arguments = text.partition("<")
        plain = "L" + internal(name)
        if "$" in plain:
            self.nested.add(plain[1:])
        if not arguments:
            return plain + ";", plain + ";"
        inner = "".join(self.argument(it) for it in split(arguments[: arguments.rindex(">")], ","))
        return plain + ";", f"{plain}<{inner}>;"

    def argument(self, text):
        if text == "?":
            return "*"
        match = re.match(r"\?\s+(extends|super)\s+(.*)", text)
        if match:
            return {"extends": "+", "super": "-"}[match[1]] + self.of(match[2])[1]
        return self.of(text)[1]


class ClassFile:
    """One class as it is written."""

    def __init__(self, name, flags, parent, interfaces):
        self.pool, self.index, self.next, self.members = [], {}, 1, {"field": [], "method": []}
        self.name, self.flags, self.parent, self.interfaces, self.attributes = name, flags, parent, interfaces, []

    def constant(self, tag, packed, slots=1):
        key = (tag, packed)
        if key not in self.index:
            self.index[key] = self.next
            self.next += slots
            self.pool.append(bytes([tag]) + packed)
        return self.index[key]

    def utf8(self, text):
        data = text.encode("utf-16-be", "surrogatepass")
        units = (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
        # The JVM's own UTF-8: each half of a pair by itself, and no zero.
        data = b"".join(b"\xc0\x80" if it == 0 else chr(it).encode("utf-8", "surrogatepass") for it in units)
        return self.constant(1, struct.pack(">H", len(data)) + data)

    def of_class(self, name):
        return self.constant(7, struct.pack(">H", self.utf8(name)))

    def attribute(self, name, data=b""):
        return struct.pack(">HI", self.utf8(name), len(data)) + data

    def signature(self, signature):
        return self.attribute("Signature", struct.pack(">H", self.utf8(signature)))

    def annotations(self, names):
        kept = sorted(NULLABILITY & names)
        return struct.pack(">H", len(kept)) + b"".join(
            struct.pack(">HH", self.utf8(f"Landroid/annotation/{name};"), 0) for name in kept
        )

    def add(self, kind, flags, name, descriptor, attributes):
        head = struct.pack(">HHHH", flags, self.utf8(name), self.utf8(descriptor), len(attributes))
        self.members[kind].append(head + b"".join(attributes))

    def value(self, descriptor, text):
        """The attribute of a constant, which compilers put in the place of its name."""
        if text.startswith('"'):
            content = re.sub(r"\\u([0-9a-fA-F]{4})", lambda it: chr(int(it[1], 16)), text[1:-1])
            content = re.sub(r"\\(.)", lambda it: {"n": "\n", "t": "\t", "r": "\r"}.get(it[1], it[1]), content)
            at = self.constant(8, struct.pack(">H", self.utf8(content)))
        elif descriptor in "FD":
            number = {"(0.0/0.0)": "nan", "(1.0/0.0)": "inf", "(-1.0/0.0)": "-inf"}.get(re.sub(r"[fd]?(?=[/)])", "", text), text)
            number = float(number.rstrip("fd") if number not in ("inf", "-inf", "nan") else number)
            at = self.constant(4, struct.pack(">f", number)) if descriptor == "F" else self.constant(6, struct.pack(">d", number), 2)
        elif descriptor == "J":
            at = self.constant(5, struct.pack(">q", int(text.rstrip("L"))), 2)
        else:
            at = self.constant(3, struct.pack(">i", {"true": 1, "false": 0}.get(text) if descriptor == "Z" else int(text)))
        return self.attribute("ConstantValue", struct.pack(">H", at))

    def nested(self, named, all_stubs):
        """Which classes are inside of which, of all that are named here (`A$B$C`)."""
        chains = {name[: match.start()] for name in named for match in re.finditer(r"\$|$", name)}
        entries = [
            struct.pack(">HHHH", self.of_class(name), self.of_class(outer), self.utf8(simple), flags)
            for name in sorted(chains)
            for flags in [all_stubs[name].flags if name in all_stubs else 9]
            for outer, dollar, simple in [name.rpartition("$")]
            if dollar
        ]
        if entries:
            self.attributes.append(self.attribute("InnerClasses", struct.pack(">H", len(entries)) + b"".join(entries)))

    def bytes(self):
        head = struct.pack(">HHH", self.flags, self.of_class(self.name), self.of_class(self.parent))
        interfaces = [self.of_class(it) for it in self.interfaces]
        head += struct.pack(f">H{len(interfaces)}H", len(interfaces), *interfaces)
        for parts in self.members["field"], self.members["method"], self.attributes:
            head += struct.pack(">H", len(parts)) + b"".join(parts)
        # Of Java 8, as Android takes it.
        return struct.pack(">IHHH", 0xCAFEBABE, 0, 52, self.next) + b"".join(self.pool) + head


def flags_of(words):
    return sum(FLAGS.get(word, 0) for word in words)


def read(lines):
    """The classes: what is said of each, its package, and the lines of its members."""
    package, members = None, None
    for line in lines:
        if line.startswith("package "):
            package = line.split()[1]
        elif line.startswith("    "):
            members.append(line.strip())
        elif line.startswith("  ") and line.strip() != "}":
            members = []
            if not OF_THE_JDK.match(package + "."):
                yield package, annotated(line.strip().rstrip("{").strip())[1], members


class Stub:
    """One class, from what is said of it."""

    def __init__(self, package, text):
        words, self.kind, rest = re.match(r"(.*?)(class|@?interface|enum) (.*)", text).groups()
        self.words = words.split()
        self.simple = re.match(r"[\w.]+", rest)[0]
        self.name = internal(f"{package}.{self.simple}")
        self.rest = rest[len(self.simple) :].strip()
        self.is_inner = "." in self.simple and self.kind == "class" and "static" not in self.words
        self.flags = flags_of(self.words)
        self.flags |= {"class": 0, "enum": ENUM | 16, "interface": INTERFACE | 1024}.get(self.kind, ANNOTATION | INTERFACE | 1024)
        if "." in self.simple and not self.is_inner:
            self.flags |= FLAGS["static"]
        self.inside = set()

    def write(self, members, all_stubs):
        types = Types()
        outer = self.name.rpartition("$")[0]
        if self.is_inner and all_stubs[outer].rest.startswith("<"):
            types.declare(all_stubs[outer].rest[1 : after(all_stubs[outer].rest, 0, "<", ">") - 1])
        generic, rest = "", self.rest
        if rest.startswith("<"):
            end = after(rest, 0, "<", ">")
            generic, rest = types.declare(rest[1 : end - 1]), rest[end:].strip()
        clauses = {"extends": [], "implements": []}
        for word in split(rest, " ,"):
            if word in clauses:
                clause = clauses[word]
            else:
                clause.append(types.of(word))
        parents, interfaces = clauses["extends"], clauses["implements"]
        if self.kind == "interface":
            parents, interfaces = [], parents + interfaces
        elif self.kind == "@interface":
            interfaces = [types.of("java.lang.annotation.Annotation")]
        elif self.kind == "enum":
            parents = [("Ljava/lang/Enum;", f"Ljava/lang/Enum<L{self.name};>;")]
        parents = parents or [types.of("Object")]
        shown = self.flags & ~(2 | 4 | 8) | (1 if self.flags & 4 else 0) | (0 if self.flags & INTERFACE else SUPER)
        out = ClassFile(self.name, shown, parents[0][0][1:-1], [descriptor[1:-1] for descriptor, _ in interfaces])
        out.attributes.append(out.signature(generic + "".join(signature for _, signature in parents + interfaces)))
        for line in members:
            kind, text = line.split(" ", 1)
            names, text = annotated(text)
            {"ctor": self.method, "method": self.method}.get(kind, self.field)(out, types, names, text)
        out.nested(types.nested | {self.name} | self.inside, all_stubs)
        return out.bytes()

    def field(self, out, types, names, text):
        head, _, value = re.match(r'(.*?)( = ("(?:\\.|[^"\\])*"|[^;]*))?;', text).groups()
        *words, kind, name = split(head, " ")
        descriptor, signature = types.of(kind)
        flags = flags_of(words) | (ENUM if self.kind == "enum" and descriptor == f"L{self.name};" else 0)
        attributes = [out.attribute("RuntimeInvisibleAnnotations", out.annotations(names))]
        if value is not None:
            attributes.append(out.value(descriptor, value))
        if signature != descriptor:
            attributes.append(out.signature(signature))
        out.add("field", flags, name, descriptor, attributes)

    def method(self, out, types, names, text):
        types = Types(types)
        start = text.index("(")
        end = after(text, start, "(", ")")
        words = split(text[:start], " ")
        name, generic = words.pop(), ""
        for word in [word for word in words if word.startswith("<")]:
            generic = types.declare(word[1:-1])
            words.remove(word)
        is_constructor = name == self.simple and (not words or words[-1] in FLAGS)
        result = ("V", "V") if is_constructor else types.of(words.pop())
        flags = flags_of(words)
        if self.flags & INTERFACE and not {"default", "static"} & set(words):
            flags |= FLAGS["abstract"]
        parameters = [annotated(it) for it in split(text[start + 1 : end - 1], ",")]
        flags |= VARARGS if parameters and parameters[-1][1].endswith("...") else 0
        taken = [types.of(it) for _, it in parameters]
        # Who is inside of another is made with it.
        hidden = f"L{self.name.rpartition('$')[0]};" if is_constructor and self.is_inner else ""
        descriptor = f"({hidden}{''.join(it for it, _ in taken)}){result[0]}"
        signature = f"{generic}({''.join(it for _, it in taken)}){result[1]}"
        attributes = [out.attribute("RuntimeInvisibleAnnotations", out.annotations(names))]
        of_parameters = b"".join(out.annotations(names) for names, _ in parameters)
        attributes.append(out.attribute("RuntimeInvisibleParameterAnnotations", bytes([len(parameters)]) + of_parameters))
        if signature != descriptor:
            attributes.append(out.signature(signature))
        out.add("method", flags, "<init>" if is_constructor else name, descriptor, attributes)


def main(source, jar):
    with open(source, encoding="utf-8") as lines:
        described = [(Stub(package, text), members) for package, text, members in read(lines)]
    stubs = {stub.name: stub for stub, _ in described}
    for name in stubs:
        if "$" in name:
            stubs[name.rpartition("$")[0]].inside.add(name)
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for stub, members in described:
            out.writestr(stub.name + ".class", stub.write(members, stubs))
    print(f"{len(stubs)} classes")


if __name__ == "__main__":
    main(*sys.argv[1:])
