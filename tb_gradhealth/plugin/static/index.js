// node_modules/preact/dist/preact.mjs
var n$1;
var t$2;
var r$2;
var u$3;
var i$2;
var f$3;
var o$3;
var e$2;
var l$2;
var c$2;
var a$3;
var h$3 = Symbol.for("pv");
var p$3 = {};
var y$3 = [];
var v$2 = /^m(i|n|o|s|text|space)$/;
var w$3 = Array.isArray;
var d$3 = y$3.slice;
var _$2 = Object.assign;
function g$3(n) {
	n && n.parentNode && n.remove();
}
function k$2(n, t, r) {
	var u, i, f, o = {}, e = arguments.length;
	for (f in t) "key" == f ? u = t[f] : "ref" == f && "function" != typeof n ? i = t[f] : o[f] = t[f];
	return e > 2 && (o.children = e > 3 ? d$3.call(arguments, 2) : r), m$3(n, o, u, i, null);
}
function m$3(r, u, i, f, o) {
	var e = {
		type: r,
		props: u,
		key: i,
		ref: f,
		__k: null,
		__: null,
		__b: 0,
		__e: null,
		__c: null,
		constructor: h$3,
		__v: o || ++t$2,
		__i: -1,
		__u: 0
	};
	return !o && n$1.vnode && n$1.vnode(e), e;
}
function $(n) {
	return n.children;
}
function x$1(n, t) {
	this.props = n, this.context = t, this.__g = 0;
}
function S$1(n, t) {
	if (null == t) return n.__ && S$1(n.__, n.__i + 1);
	for (var r; t < n.__k.length; t++) if ((r = n.__k[t]) && r.__e) return r.__e;
	return "function" != typeof n.type || n.props.__P ? null : S$1(n);
}
function C$1(t) {
	var r, u = t.__v, i = u.__e, f = [], o = [], e = t.__P;
	e && ((r = _$2({ constructor: h$3 }, u)).__v = u.__v + 1, n$1.vnode && n$1.vnode(r), z$1(e, r, u, t.__n, e.namespaceURI, 32 & u.__u ? [i] : null, f, i || S$1(u), 32 & u.__u, o), r.__v = u.__v, r.__.__k[r.__i] = r, E$1(f, r, o), u.__ = u.__e = null, r.__e != i && j$1(r));
}
function j$1(n) {
	if ((n = n.__) && n.__c && !n.props.__P) return n.__e = null, n.__k.some(function(t) {
		return t && (n.__e = t.__e);
	}), j$1(n);
}
function L(t) {
	(8 & t.__g || (t.__g |= 8, u$3.push(t), f$3++)) && i$2 == n$1.debounceRendering || ((i$2 = n$1.debounceRendering) || queueMicrotask)(H);
}
function H() {
	try {
		for (var n, t = 1; u$3.length;) u$3.length > t && u$3.sort(o$3), n = u$3.shift(), t = u$3.length, 8 & n.__g && C$1(n);
	} finally {
		(f$3 = u$3.length) && (i$2 || queueMicrotask)(H);
	}
}
function I(n, t, r, u, i, f, o, e, l, c, a) {
	var s, h, v, w, d, _, g = u.__k || y$3, k = t.length;
	for (l = q(r, t, g, l, k), s = 0; s < k; s++) null != (v = r.__k[s]) && (h = ~v.__i && g[v.__i] || p$3, v.__i = s, _ = z$1(n, v, h, i, f, o, e, l, c, a), w = v.__e, (h.ref != v.ref || 8 & h.__u) && (h.ref && G$1(h.ref, null, v, h), v.ref && a.push(v.ref, v.__c || w, v)), d = d || w, 4 & v.__u ? (l = A$2(v, l, n, !h.__v), h.__e && (h.__e = null)) : "function" == typeof v.type && void 0 !== _ ? l = _ : w && (l = w.nextSibling), v.__u &= -21);
	return r.__e = d, l;
}
function q(n, t, r, u, i) {
	var f, o, e, l, c, a, s, p, y, v = r.length, d = v, _ = 0, g = 0, k = n.__k = Array(i);
	for (f = 0; f < i; f++) null != (o = t[f]) && "boolean" != typeof o && "function" != typeof o ? ("object" != typeof o || o.constructor === String ? o = k[f] = m$3(null, o) : w$3(o) ? o = k[f] = m$3($, { children: o }) : o.constructor === h$3 && o.__b ? o = k[f] = m$3(o.type, o.props, o.key, o.ref, o.__v) : k[f] = o, l = f + _, o.__ = n, o.__b = n.__b + 1, e = null, ~(c = o.__i = P(o, r, l, d)) && (d--, (e = r[c]) && (e.__u |= 2)), e && e.__v ? (o.__u |= 16, c == l - 1 ? _-- : c == l + 1 ? _++ : c != l && (c > l ? _-- : _++, g = 1)) : (~c || (i > v ? _-- : i < v && _++), "function" != typeof o.type && (o.__u |= 4))) : k[f] = null;
	if (g) {
		for (a = [], s = [], f = 0; f < i; f++) if ((o = k[f]) && 16 & o.__u) {
			for (_ = 0, p = a.length; _ < p;) a[y = _ + p >> 1] < o.__i ? _ = y + 1 : p = y;
			a[_] = o.__i, s[f] = _ + 1;
		}
		for (_ = a.length; f--;) s[f] && (s[f] == _ ? _-- : k[f].__u |= 4);
	}
	if (d) for (f = 0; f < v; f++) !(e = r[f]) || 2 & e.__u || (e.__e == u && (u = S$1(e)), J(e, e));
	return u;
}
function A$2(n, t, r, u) {
	var i, f, o, e;
	if ("function" == typeof n.type) {
		if (n.props.__P) return t;
		if (i = n.__k) for (f = 0; f < i.length; f++) i[f] && (i[f].__ = n, t = A$2(i[f], t, r, !1));
		return t;
	}
	for (t && !t.parentNode && (t = S$1(n)) && !t.parentNode && (t = null), o = n.__e, e = t; e && 8 == e.nodeType;) e = e.nextSibling;
	for (o != e && (!u && r.moveBefore && o.parentNode ? r.moveBefore(o, t) : r.insertBefore(o, t || null)), t = o; (t = t && t.nextSibling) && 8 == t.nodeType && !t.data.startsWith("$s"););
	return t;
}
function P(n, t, r, u) {
	var i, f = n.key, o = n.type, e = t[r], l = e && !(2 & e.__u);
	if (null === e && null == f || l && f == e.key && o == e.type) return r;
	if (u > (l ? 1 : 0)) {
		for (i = r - 1; i >= 0; i--) if ((e = t[i]) && !(2 & e.__u) && f == e.key && o == e.type) return i;
		for (i = r + 1; i < t.length; i++) if ((e = t[i]) && !(2 & e.__u) && f == e.key && o == e.type) return i;
	}
	return -1;
}
function T$1(n, t, r) {
	r ??= "", "-" == t[0] ? n.setProperty(t, r) : n[t] = r;
}
function N(n, t, r, u, i) {
	var f, o;
	if ("style" == t) if ("string" == typeof r) n.style.cssText = r;
	else {
		if ("string" == typeof u && (n.style.cssText = u = ""), u) for (t in u) r && t in r || T$1(n.style, t);
		if (r) for (t in r) u && r[t] == u[t] || T$1(n.style, t, r[t]);
	}
	else if ("o" == t[0] && "n" == t[1]) "function" != typeof r && (r = null), "function" != typeof u && (u = null), (n.__e || (n.__e = {}))[t] = r, r && u || (o = a$3[t] || (a$3[t] = V(t)), (n.__a || (n.__a = {}))[t] = c$2, f = t != (t = t.replace(l$2, "$1")), (t = t.slice(2))[0] < "a" && (t = t.toLowerCase()), r ? n.addEventListener(t, o, f) : n.removeEventListener(t, o, f));
	else {
		if ("http://www.w3.org/2000/svg" == i) t = t.replace(/xlink(H|:h)/, "h").replace(/sName$/, "s");
		else if ("width" != t && "height" != t && "href" != t && "list" != t && "form" != t && "tabIndex" != t && "download" != t && "rowSpan" != t && "colSpan" != t && "role" != t && "popover" != t && t in n) try {
			n[t] = null == r ? "" : r;
			return;
		} catch (n) {}
		if ("function" == typeof r) return;
		null == r || !1 === r && "-" != t[4] ? n.removeAttribute(t) : n.setAttribute(t, "popover" == t && 1 == r ? "" : r);
	}
}
function V(t) {
	return function(r) {
		var u = this.__e;
		if (u) {
			if (u = u[t], null == r[e$2]) r[e$2] = c$2++;
			else if (r[e$2] < this.__a[t]) return;
			return u(n$1.event ? n$1.event(r) : r);
		}
	};
}
function z$1(t, r, u, i, f, o, e, l, c, a) {
	var s, p, v, d, k, b, m, M, C, j, L, H, q, A, O, P, T, N, V = r.type;
	if (r.constructor !== h$3) return null;
	128 & u.__u && (c = 32 & u.__u, s = u.__c.__z) && (r.__u |= c, p = o = [], 8 == s.nodeType ? l = B$1(s, o) : o.push(s), l = o[0] || l), (s = n$1.__b) && s(r);
	n: if ("function" == typeof V) {
		v = e.length;
		try {
			if (M = r.props, C = (s = V.prototype) && s.render, j = (s = V.contextType) && i[s.__c], L = s ? j ? j.props.value : s.__ : i, (d = u.__c) ? (r.__c = d, 2 & d.__g && (d.__g |= 1)) : (C ? r.__c = d = new V(M, L) : (r.__c = d = new x$1(M, L), d.constructor = V, d.render = K), j && j.sub(d), d.state || (d.state = {}), d.__n = i, d.__g |= 8, d.__h = [], d.__k = []), C && (d.__s || (d.__s = d.state), V.getDerivedStateFromProps && (d.__s == d.state && (d.__s = _$2({}, d.__s)), _$2(d.__s, V.getDerivedStateFromProps(M, d.__s)))), k = d.props, b = d.state, d.__v = r, u.__c) {
				if (M !== k && C && !V.getDerivedStateFromProps && d.componentWillReceiveProps && d.componentWillReceiveProps(M, L), r.__v == u.__v && !(8 & d.__g) || !(4 & d.__g) && d.shouldComponentUpdate && !1 === d.shouldComponentUpdate(M, d.__s, L)) {
					r.__v != u.__v && (d.props = M, d.state = d.__s, d.__g &= -9), r.__e = u.__e, r.__k = u.__k, r.__k.some(function(n) {
						n && (n.__ = r);
					}), y$3.push.apply(d.__h, d.__k), d.__k = [], d.__h.length && e.push(d), l = S$1(u);
					break n;
				}
				d.componentWillUpdate && d.componentWillUpdate(M, d.__s, L), C && d.componentDidUpdate && d.__h.push(function() {
					d.componentDidUpdate(k, b, m);
				});
			} else C && !V.getDerivedStateFromProps && d.componentWillMount && d.componentWillMount(), C && d.componentDidMount && d.__h.push(d.componentDidMount);
			d.context = L, d.props = M, d.__P = t, d.__g &= -5, H = n$1.__r, q = C ? 25 : 0;
			do
				d.__g &= -9, H && H(r), s = d.render(d.props, d.state = d.__s, d.context);
			while (8 & d.__g && ++q < 25);
			C && (y$3.push.apply(d.__h, d.__k), d.__k = []), d.state = d.__s, d.getChildContext && (i = _$2({}, i, d.getChildContext())), C && u.__c && d.getSnapshotBeforeUpdate && (m = d.getSnapshotBeforeUpdate(k, b)), A = s && s.type === $ && null == s.key ? s.props.children : s, M.__P && (s = l, f = (t = M.__P).namespaceURI, c = o = null, u.props && u.props.__P != t && (u.__k.some(function(n) {
				n && J(n, n);
			}), u.__k = null), l = u.__k ? S$1(u, 0) : null), l = I(t, w$3(A) ? A : [A], r, u, i, f, o, e, l, c, a), M.__P && (r.__e = null, l = s), r.__u &= -161, p && p.some(g$3), d.__h.length && e.push(d), 1 & d.__g && (d.__g &= -4);
		} catch (t) {
			if (e.length = v, r.__v = null, c || o) if (t && t.then) {
				if (r.__u |= 128 | c, o) {
					for (~(T = o.indexOf(l || void 0)) || (T = o.length); (N = o[T - 1]) && 8 == N.nodeType;) T--;
					for (; T < o.length; T++) if (N = o[T]) if (o[T] = null, O) {
						if (N == P) break;
					} else {
						if (8 != N.nodeType) break;
						N.data.startsWith("$s") && (P = B$1(O = N));
					}
				}
				if (!O) {
					for (; l && 8 == l.nodeType && l.nextSibling;) l = l.nextSibling;
					O = l;
				}
				(s = B$1(O = r.__c.__z || (r.__c.__z = O))) ? (r.__e = O, l = s) : r.__e = l, l = l && l.nextSibling;
			} else o && o.some(g$3);
			else r.__e = u.__e;
			r.__k || (r.__k = u.__k || []), t && t.then || D$1(r), n$1.__e(t, r, u);
		}
	} else l = r.__e = F$2(u.__e, r, u, i, f, o, e, c, a, t);
	return (s = n$1.diffed) && s(r), l;
}
function B$1(n, t) {
	if (n && 8 == n.nodeType && n.data.startsWith("$s")) for (var r = 1; n = n.nextSibling;) {
		if (8 == n.nodeType) {
			if (n.data.startsWith("$s")) r++;
			else if (n.data.startsWith("/$s") && !--r) return n;
		}
		t && t.push(n);
	}
}
function D$1(n) {
	n && (n.__c && (n.__c.__g |= 4), n.__k && n.__k.some(D$1));
}
function E$1(t, r, u) {
	for (var i = 0; i < u.length;) G$1(u[i++], u[i++], u[i++]);
	n$1.__c && n$1.__c(r, t), t.some(function(r) {
		try {
			t = r.__h, r.__h = [], t.some(function(n) {
				n.call(r);
			});
		} catch (t) {
			n$1.__e(t, r.__v);
		}
	});
}
function F$2(t, r, u, i, f, o, e, l, c, a) {
	var s, h, y, _, k, b, m, M, $ = u.props || p$3, x = r.props, C = r.type;
	if ("svg" == C ? f = "http://www.w3.org/2000/svg" : "math" == C ? f = "http://www.w3.org/1998/Math/MathML" : f || (f = "http://www.w3.org/1999/xhtml"), o) {
		for (s = 0; s < o.length; s++) if ((k = o[s]) && (C ? k.localName == C : 3 == k.nodeType)) {
			t = k, o[s] = null;
			break;
		}
	}
	if (!t) {
		if (M = a.ownerDocument || document, !C) return M.createTextNode(x);
		t = M.createElementNS(f, C, x.is ? x : a), l && (n$1.__m && n$1.__m(r, o), l = !1), o = null;
	}
	if (C) {
		if (a = "template" == C && t.content || t, o = "textarea" == C && null != x.defaultValue ? null : o && d$3.call(a.childNodes), !l && o) for ($ = {}, s = 0; s < t.attributes.length; s++) $[(k = t.attributes[s]).name] = k.value;
		for (s in $) k = $[s], "dangerouslySetInnerHTML" == s ? y = k : "children" == s || s in x || "value" == s && "defaultValue" in x || "checked" == s && "defaultChecked" in x || N(t, s, null, k, f);
		for (s in x) k = x[s], "children" == s ? _ = k : "dangerouslySetInnerHTML" == s ? h = k : "value" == s ? b = k : "checked" == s ? m = k : l && "function" != typeof k || $[s] === k || N(t, s, k, $[s], f);
		h ? (l || y && (h.__html == y.__html || h.__html == t.innerHTML) || (t.innerHTML = h.__html), r.__k = []) : (y && (t.textContent = ""), ("foreignObject" == C || "http://www.w3.org/1998/Math/MathML" == f && v$2.test(C)) && (f = "http://www.w3.org/1999/xhtml"), I(a, w$3(_) ? _ : [_], r, u, i, f, o, e, o ? o[0] : u.__k && S$1(u, 0), l, c), o && o.some(g$3)), l && "textarea" != C || (s = "value", "progress" == C && null == b ? t.removeAttribute(s) : null == b || b === t[s] && ("progress" != C || b) || N(t, s, b, $[s], f), s = "checked", null != m && m != t[s] && N(t, s, m, $[s], f));
	} else $ === x || l && t.data == x || (t.data = x);
	return t;
}
function G$1(t, r, u, i) {
	try {
		"function" == typeof t ? r ? r.__x = t(r) || 1 : i && (i = i.__c || i.__e) && (r = i.__x) && (i.__x = null, "function" == typeof r ? r() : t(null)) : t.current = r;
	} catch (t) {
		n$1.__e(t, u);
	}
}
function J(t, r, u) {
	var i, f, o, e;
	if (n$1.unmount && n$1.unmount(t), !(i = t.ref) || i.current && i.current != t.__e || G$1(i, null, r, t), i = t.__c) {
		if (i.componentWillUnmount) try {
			i.componentWillUnmount();
		} catch (t) {
			n$1.__e(t, r);
		}
		i.__P = i.__n = null;
	}
	if (i = t.__k) for (e = 0; e < i.length; e++) i[e] && J(i[e], r, "function" != typeof t.type || u && !t.props.__P);
	!u && (i = t.__c) && (i = i.__z) && (f = B$1(i, o = [])) && (i == t.__e && o.some(g$3), g$3(f), g$3(i)), u || g$3(t.__e), t.__e = t.__c = t.__ = null;
}
function K(n, t, r) {
	return this.constructor(n, r);
}
function Q(t, r) {
	var u, i, f, o;
	n$1.__ && n$1.__(t, r), 9 == r.nodeType && (r = r.documentElement), i = (u = t && 32 & t.__u) ? null : r.__k, r.__k = m$3($, { children: [t] }), f = [], o = [], z$1(r, r.__k, i || p$3, p$3, r.namespaceURI, i ? null : r.firstChild ? d$3.call(r.childNodes) : null, f, i ? i.__e : r.firstChild, u, o), E$1(f, r.__k, o), r.__k.props.children = null;
}
n$1 = { __e: function(n, t, r, u) {
	for (var i, o, e; t = t.__;) if ((i = t.__c) && !(1 & i.__g)) {
		i.__g |= 4;
		try {
			if ((e = (o = i.constructor) && o.getDerivedStateFromError) && i.setState(o.getDerivedStateFromError(n)), i.componentDidCatch && (i.componentDidCatch(n, u || {}), e = 1), e && 8 & i.__g) return void (i.__g |= 2);
		} catch (t) {
			n = t;
		}
	}
	throw f$3 = 0, n;
} }, t$2 = 0, r$2 = function(n) {
	return null != n && n.constructor === h$3;
}, x$1.prototype.setState = function(n, t) {
	var r = this.__s;
	r && r != this.state || (r = this.__s = _$2({}, this.state)), "function" == typeof n && (n = n(_$2({}, r), this.props)), n && (_$2(r, n), this.__v && (t && this.__k.push(t), L(this)));
}, x$1.prototype.forceUpdate = function(n) {
	this.__v && (this.__g |= 4, n && this.__h.push(n), L(this));
}, x$1.prototype.render = $, u$3 = [], f$3 = 0, o$3 = function(n, t) {
	return n.__v.__b - t.__v.__b;
}, e$2 = Symbol(), l$2 = /(PointerCapture)$|Capture$/i, c$2 = 0, a$3 = {};
// src/contract.ts
var ContractError = class extends Error {};
function expected(what, where, value) {
	throw new ContractError(`${where}: expected ${what}, got ${value === void 0 ? "nothing" : JSON.stringify(value).slice(0, 80)}; front end and backend may be of two versions`);
}
var text = (value, where) => typeof value === "string" ? value : expected("a string", where, value);
var truth = (value, where) => typeof value === "boolean" ? value : expected("true or false", where, value);
var whole = (value, where) => Number.isSafeInteger(value) ? value : expected("an integer", where, value);
/** A figure: null is no data, and JSON's three missing numbers come as strings. */
var figure = (value, where) => {
	if (value === null || typeof value === "number") return value;
	if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
	return expected("a number, null, \"NaN\", \"Infinity\" or \"-Infinity\"", where, value);
};
function oneOf(...names) {
	return (value, where) => names.find((name) => name === value) ?? expected(names.join(" | "), where, value);
}
function orNull(reader) {
	return (value, where) => value === null || value === void 0 ? null : reader(value, where);
}
function listOf(reader) {
	return (value, where) => Array.isArray(value) ? value.map((item, i) => reader(item, `${where}[${i}]`)) : expected("a list", where, value);
}
/** Steps [first, end). */
var interval = (value, where) => {
	const [first, end, ...rest] = listOf(whole)(value, where);
	if (first === void 0 || end === void 0 || rest.length > 0 || end < first) return expected("two rising integers", where, value);
	return [first, end];
};
function entriesOf(value, where) {
	if (typeof value !== "object" || value === null || Array.isArray(value)) expected("an object", where, value);
	return value;
}
function object(shape) {
	return (value, where) => {
		const fields = entriesOf(value, where);
		const read = Object.entries(shape).map(([key, reader]) => [key, reader(fields[key], `${where}.${key}`)]);
		return Object.fromEntries(read);
	};
}
function mapOf(reader) {
	return (value, where) => new Map(Object.entries(entriesOf(value, where)).map(([key, item]) => [key, reader(item, `${where}.${key}`)]));
}
var readRun = object({
	name: text,
	label: text,
	status: oneOf("ok", "waiting", "none", "unreadable"),
	problem: orNull(text),
	revision: whole
});
var readMetric = object({
	name: text,
	label: text,
	unit: text,
	kind: oneOf("magnitude", "fraction", "signed", "count"),
	scale: oneOf("log", "linear"),
	meaning: text
});
var readNamed = object({
	name: text,
	label: text
});
var readNodes = object({
	name: listOf(text),
	kind: listOf(oneOf("total", "module", "tensor")),
	parent: listOf(whole),
	shape: listOf(orNull(listOf(whole))),
	dtype: listOf(orNull(text)),
	size: listOf(whole),
	aliases: listOf(listOf(text))
});
var readMeta = object({
	run: text,
	label: text,
	revision: whole,
	problem: orNull(text),
	steps: interval,
	cell: whole,
	levels: whole,
	overview: truth,
	streams: listOf(readNamed),
	metrics: listOf(readMetric),
	views: listOf(readNamed),
	nodes: readNodes,
	sessions: listOf(object({
		id: text,
		start: whole,
		stop: whole,
		wall_time: orNull(figure)
	}))
});
var readCell = object({
	node: whole,
	steps: interval,
	recorded: whole,
	with_data: whole,
	first_bad: orNull(whole),
	counts: mapOf(whole),
	metrics: mapOf(object({
		mean: figure,
		min: figure,
		max: figure,
		worst: figure,
		worst_node: orNull(whole),
		worst_steps: orNull(interval)
	}))
});
var readNotes = object({
	notes: listOf(object({
		step: whole,
		kind: text,
		tensors: listOf(object({
			name: text,
			nan: whole,
			pos_inf: whole,
			neg_inf: whole
		})),
		more: whole,
		values: mapOf(figure)
	})),
	complete: truth
});
function parseRuns(reply) {
	return object({ runs: listOf(readRun) })(reply, "runs").runs;
}
function parseMeta(reply) {
	const meta = readMeta(reply, "meta");
	const { name, ...columns } = meta.nodes;
	for (const [key, column] of Object.entries(columns)) if (column.length !== name.length) expected(`${name.length} entries, as in nodes.name`, `meta.nodes.${key}`, column.length);
	if (meta.cell < 1 || meta.levels < 1) expected("cell and levels of 1 or more", "meta", [meta.cell, meta.levels]);
	return meta;
}
function parseCell(reply) {
	return readCell(reply, "cell");
}
function parseNotes(reply) {
	return readNotes(reply, "notes");
}
var MAGIC = 827607111;
var HEADER_BYTES = 24;
var AREA = 32768;
var RECORD_BYTES = 98328;
function tileName({ level, r, c }) {
	return `${level}.${r}.${c}`;
}
/** Splits a reply of `tiles` into its records. */
function parseTiles(body) {
	if (body.byteLength === 0 || body.byteLength % RECORD_BYTES !== 0) throw new ContractError(`tiles: expected records of ${RECORD_BYTES} bytes, got ${body.byteLength} bytes; front end and backend may be of two versions`);
	return Array.from({ length: body.byteLength / RECORD_BYTES }, (_, i) => parseTile(body, i * RECORD_BYTES));
}
function parseTile(body, start) {
	const header = new DataView(body, start, HEADER_BYTES);
	const encoding = header.getUint8(4);
	if (header.getUint32(0, true) !== MAGIC || encoding > 1) throw new ContractError(`tiles: expected a GHT1 record of encoding 0 or 1, got ${header.getUint32(0).toString(16)} with ${encoding}`);
	const low = new Uint8Array(body, start + HEADER_BYTES, AREA);
	const high = new Uint8Array(body, start + HEADER_BYTES + AREA, AREA);
	const codes = new Uint16Array(AREA);
	for (let i = 0; i < AREA; i++) codes[i] = (low[i] ?? 0) | (high[i] ?? 0) << 8;
	const flags = new Uint8Array(body.slice(start + HEADER_BYTES + 2 * AREA, start + RECORD_BYTES));
	return {
		level: header.getUint8(5),
		r: header.getUint32(8, true),
		c: header.getUint32(12, true),
		folded: encoding === 1,
		rows: header.getUint16(6, true),
		cells: header.getUint32(16, true),
		revision: header.getUint32(20, true),
		codes,
		flags,
		rowFlags: flagsByRow(flags)
	};
}
function flagsByRow(flags) {
	const rowFlags = /* @__PURE__ */ new Uint8Array(64);
	for (let i = 0; i < AREA; i++) {
		const row = i / 512 | 0;
		rowFlags[row] = (rowFlags[row] ?? 0) | (flags[i] ?? 0);
	}
	return rowFlags;
}
/** A settled tile is full and complete: more steps of the same session do not change it. */
function isSettled(tile) {
	return tile.cells === 512 && tile.rowFlags.every((flags) => (flags & 16) === 0);
}
// src/api.ts
/** TensorBoard gave no answer of its own: it is down, restarting, or a proxy answered in its place. */
var Unreachable = class extends Error {};
/** The backend answered that it cannot: the message says what it expected, what came and what to do. */
var Refused = class extends Error {
	status;
	constructor(status, message) {
		super(message);
		this.status = status;
	}
};
var PATIENCE_MS = 6e4;
/** The routes of http_api.md below `base`. */
var Api = class {
	base;
	fetcher;
	constructor(base, fetcher = (url, init) => fetch(url, init)) {
		this.base = base;
		this.fetcher = fetcher;
	}
	async runs() {
		return parseRuns(await this.json("runs", {}));
	}
	async meta(run) {
		return parseMeta(await this.json("meta", { run }));
	}
	async tiles(layer, ids, signal) {
		return parseTiles(await (await this.get("tiles", {
			...layer,
			ids: ids.map(tileName).join(",")
		}, signal)).arrayBuffer().catch(lost));
	}
	async cell(run, stream, node, level, index) {
		const where = {
			run,
			stream,
			node: String(node),
			level: String(level),
			index: String(index)
		};
		return parseCell(await this.json("cell", where));
	}
	/** The first notes of the steps [begin, end). */
	async notes(run, stream, begin, end) {
		return parseNotes(await this.json("notes", {
			run,
			stream,
			begin: String(begin),
			end: String(end)
		}));
	}
	async json(route, query) {
		return (await this.get(route, query)).json().catch(lost);
	}
	async get(route, query, signal) {
		const url = new URL(route, this.base);
		url.search = new URLSearchParams(query).toString();
		const patience = AbortSignal.timeout(PATIENCE_MS);
		const response = await this.fetcher(url, {
			cache: "no-store",
			signal: signal === void 0 ? patience : AbortSignal.any([signal, patience])
		}).catch(lost);
		if (!response.ok) throw await refusal(response);
		return response;
	}
};
function lost(error) {
	if (error instanceof DOMException && error.name === "AbortError") throw error;
	throw new Unreachable(error instanceof Error ? error.message : String(error));
}
/** Only a JSON answer with an `error` is the plugin's own; a proxy's HTML page means that nobody is there. */
async function refusal(response) {
	const body = await response.json().catch(() => null);
	if (typeof body === "object" && body !== null && "error" in body && typeof body.error === "string") return new Refused(response.status, body.error);
	return new Unreachable(`HTTP status ${response.status}`);
}
// node_modules/preact/hooks/dist/hooks.mjs
var t$1;
var r$1;
var u$2;
var i$1;
var o$2 = Object.is;
var f$2 = 0;
var c$1 = [];
var e$1 = [];
var a$2 = n$1;
var v$1 = a$2.__b;
var l$1 = a$2.__r;
var m$2 = a$2.diffed;
var h$2 = a$2.__c;
var s$1 = a$2.unmount;
var p$2 = a$2.__;
function y$2(n, t) {
	a$2.__h && a$2.__h(r$1, n, f$2 || t), f$2 = 0;
	var u = r$1.__H || (r$1.__H = {
		__: [],
		__h: []
	});
	return n >= u.__.length && u.__.push({}), u.__[n];
}
function d$2(n) {
	return f$2 = 1, _$1(G, n);
}
function _$1(n, u, i) {
	var f = y$2(t$1++, 2);
	if (f.t = n, !f.__c && (f.__ = [i ? i(u) : G(void 0, u), function(n) {
		var t = (f.__N || f.__)[0], r = f.t(t, n);
		o$2(t, r) || (f.__N = [r, f.__[1]], f.__c.setState({}));
	}], f.__c = r$1, !r$1.__f)) {
		r$1.__f = !0;
		var c = r$1.shouldComponentUpdate;
		r$1.shouldComponentUpdate = function(n, t, r) {
			var u = this.__H;
			if (!u) return !0;
			var i = !1, f = this.props != n;
			if (u.__.some(function(n) {
				n.__N && (i = !0, o$2(n.__[0], n.__N[0]) || (f = !0));
			}), c) {
				var e = c.call(this, n, t, r);
				return i ? e || f : e;
			}
			return !i || f;
		};
	}
	return f.__;
}
function A$1(n, u) {
	var i = y$2(t$1++, 3);
	!a$2.__s && E(i.__H, u) && (i.__P = !0, i.__ = n, i.u = u, r$1.__H.__h.push(i));
}
function F$1(n, u) {
	var i = y$2(t$1++, 4);
	!a$2.__s && E(i.__H, u) && (i.__P = !1, i.__ = n, i.u = u, r$1.__h.push(i));
}
function T(n) {
	return f$2 = 5, w$2(function() {
		return { current: n };
	}, []);
}
function w$2(n, r) {
	var u = y$2(t$1++, 7);
	return E(u.__H, r) && (u.__ = n(), u.__H = r), u.__;
}
function g$2() {
	var n;
	do {
		for (; n = e$1.shift();) try {
			C(n);
		} catch (t) {
			a$2.__e(t, { __: (n = n.__P) && n.__v });
		}
		for (; n = c$1.shift();) {
			var t = n.__H;
			if (n.__P && t) try {
				t.__h.some(C), t.__h.some(D), t.__h = [];
			} catch (r) {
				t.__h = [], a$2.__e(r, n.__v);
			}
		}
	} while (e$1.length);
}
a$2.__b = function(n) {
	r$1 = null, v$1 && v$1(n);
}, a$2.__ = function(n, t) {
	n && t.__k && t.__k.__m && (n.__m = t.__k.__m), p$2 && p$2(n, t);
}, a$2.__r = function(n) {
	l$1 && l$1(n), t$1 = 0;
	var i = (r$1 = n.__c).__H;
	i && (u$2 == r$1 ? r$1.__h = [] : (i.__h.some(C), i.__h.some(D), t$1 = 0), i.__h = [], i.__.some(function(n) {
		n.__N && (n.__ = n.__N), n.u = n.__N = void 0;
	})), u$2 = r$1;
}, a$2.diffed = function(n) {
	m$2 && m$2(n);
	var t = n.__c;
	t && t.__H && (t.__H.__h.length && B(c$1.push(t)), t.__H.__.some(function(n) {
		n.u && (n.__H = n.u);
	})), u$2 = r$1 = null;
}, a$2.__c = function(n, t) {
	t.some(function(n) {
		try {
			n.__h.some(C), n.__h = n.__h.filter(function(n) {
				return !n.__ || D(n);
			});
		} catch (t) {
			n.__h = [function() {
				throw t;
			}];
		}
	}), h$2 && h$2(n, t);
}, a$2.unmount = function(n) {
	s$1 && s$1(n);
	var t, r, u = n.__c;
	u && u.__H && (u.__H.__.some(function(u) {
		try {
			if (u.__P && u.__c) {
				if (void 0 === r) {
					for (r = n.__; r && (!r.__c || !r.__c.__P);) r = r.__;
					r = r && r.__c;
				}
				u.__P = r, B(e$1.push(u));
			} else C(u);
		} catch (n) {
			t = n;
		}
	}), u.__H = void 0, t && a$2.__e(t, u.__v));
};
var k$1 = "function" == typeof requestAnimationFrame;
function z(n) {
	var t, r = function() {
		clearTimeout(u), k$1 && cancelAnimationFrame(t), setTimeout(n);
	}, u = setTimeout(r, 35);
	k$1 && (t = requestAnimationFrame(r));
}
function B(n) {
	1 != n && i$1 == a$2.requestAnimationFrame || ((i$1 = a$2.requestAnimationFrame) || z)(g$2);
}
function C(n) {
	var t = r$1, u = n.__c;
	"function" == typeof u && (n.__c = void 0, u()), r$1 = t;
}
function D(n) {
	var t = r$1;
	n.__c = n.__(), r$1 = t;
}
function E(n, t) {
	return !n || n.length != t.length || t.some(function(t, r) {
		return !o$2(t, n[r]);
	});
}
function G(n, t) {
	return "function" == typeof t ? t(n) : t;
}
// src/format.ts
var grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
function formatCount(value) {
	return grouped.format(value);
}
function plural(count, one, many = one + "s") {
	return `${formatCount(count)} ${count === 1 ? one : many}`;
}
/** A figure with `digits` significant digits; very small and very large ones with a power of ten. */
function formatValue(value, kind = "magnitude", digits = 4) {
	if (Number.isNaN(value)) return "no data";
	if (value === 0) return "0";
	if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
	const size = Math.abs(value);
	if (kind === "fraction" && size > .9995 && size < 1) return `1 − ${formatValue(1 - size, "magnitude", 2)}`;
	const rounded = Number(value.toPrecision(digits));
	if (kind === "count" && Number.isInteger(value)) return formatCount(digits < 4 ? rounded : value);
	return size >= .001 && size < 1e5 ? String(rounded) : exponential(value, digits);
}
function exponential(value, digits) {
	const [mantissa = "", exponent = ""] = value.toExponential(digits - 1).split("e");
	return `${String(Number(mantissa))}e${exponent.replace("+", "")}`;
}
/** Steps [first, end) as people count them, both ends included. */
function formatSteps(first, end) {
	if (end - first <= 1) return `step ${formatCount(first)}`;
	return `steps ${formatCount(first)}–${formatCount(end - 1)}`;
}
/** A figure of which only the size is known: whole where it is whole. */
function formatAmount(value) {
	if (value === null) return "no data";
	return Number.isInteger(value) && Math.abs(value) < 0x38d7ea4c68000 ? formatCount(value) : formatValue(value);
}
/** Keeps both ends of a long name, as names tend to differ in either. */
function shortened(name, characters) {
	if (name.length <= characters) return name === "" ? "(no name)" : name;
	const half = characters / 2 - 1;
	return `${name.slice(0, half)}…${name.slice(-half)}`;
}
var MONTHS = [
	"Jan",
	"Feb",
	"Mar",
	"Apr",
	"May",
	"Jun",
	"Jul",
	"Aug",
	"Sep",
	"Oct",
	"Nov",
	"Dec"
];
/** Seconds since 1970 as "21 Nov, 10:02" where the browser is; null where that is no date. */
function formatMoment(seconds) {
	const date = /* @__PURE__ */ new Date((seconds ?? NaN) * 1e3);
	if (Number.isNaN(date.getTime())) return null;
	const [hours, minutes] = [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, "0"));
	return `${date.getDate()} ${MONTHS[date.getMonth()] ?? ""}, ${hours ?? ""}:${minutes ?? ""}`;
}
function px(cssPx) {
	return `${cssPx}px`;
}
// src/scales.ts
/** Fewest cells of level 0 across the heatmap: closer, there is nothing more to see. */
var FEWEST_CELLS = 8;
function stepsInCell(grid, level) {
	return grid.cell * 2 ** level;
}
/** Steps from the first cell's begin to the last cell's end, at a level. */
function cellAligned(grid, level) {
	const size = stepsInCell(grid, level);
	return {
		start: Math.floor(grid.steps[0] / size) * size,
		end: Math.ceil(grid.steps[1] / size) * size
	};
}
/** Whether cells of a level are at least one device pixel wide. */
function fits(grid, level, { start, end }, widthDevicePx) {
	return end - start <= stepsInCell(grid, level) * widthDevicePx;
}
/** The finest level whose cells are at least one device pixel wide, so that drawing never drops a cell. */
function levelOf(grid, window, widthDevicePx) {
	for (let level = 0; level < grid.levels; level++) if (fits(grid, level, window, widthDevicePx)) return level;
	return grid.levels - 1;
}
/** The whole run, whole cells included, so that its last and unfinished cell is at least a pixel wide as well. */
function wholeRun(grid, widthDevicePx) {
	for (let level = 0; level < grid.levels; level++) {
		const window = cellAligned(grid, level);
		if (fits(grid, level, window, widthDevicePx)) return window;
	}
	return lastCells(grid, cellAligned(grid, grid.levels - 1), widthDevicePx);
}
/** On a canvas narrower than the coarsest level: as many of its last cells as there are pixels. */
function lastCells(grid, window, widthDevicePx) {
	const span = stepsInCell(grid, grid.levels - 1) * Math.max(1, widthDevicePx);
	return {
		start: Math.max(window.start, window.end - span),
		end: window.end
	};
}
function stepScale(grid, window, widthDevicePx) {
	const level = levelOf(grid, window, widthDevicePx);
	return {
		...window,
		widthDevicePx,
		level,
		cellSteps: stepsInCell(grid, level)
	};
}
/**
* A window inside the whole run, or null where it would be all of it: null means un-zoomed, and only that follows
* a live run.
*/
function clampWindow(grid, wanted, widthDevicePx) {
	const whole = wholeRun(grid, widthDevicePx);
	const wholeSpan = whole.end - whole.start;
	const span = Math.max(wanted.end - wanted.start, Math.min(wholeSpan, grid.cell * FEWEST_CELLS));
	if (span >= wholeSpan) return null;
	const start = Math.min(Math.max(wanted.start, whole.start), whole.end - span);
	return {
		start,
		end: start + span
	};
}
/** Zooms by `factor` (< 1 is closer) and keeps `step` where it is. */
function zoomAround(window, step, factor) {
	return {
		start: step - (step - window.start) * factor,
		end: step + (window.end - step) * factor
	};
}
function shifted(window, steps) {
	return {
		start: window.start + steps,
		end: window.end + steps
	};
}
function stepAt(scale, devicePx) {
	return scale.start + (scale.end - scale.start) * devicePx / scale.widthDevicePx;
}
function devicePxAt(scale, step) {
	return (step - scale.start) * scale.widthDevicePx / (scale.end - scale.start);
}
/** Left edge of a cell in whole device pixels. Edges rise by at least 1, as long as the level is `levelOf`'s. */
function cellEdgeDevicePx(scale, cell) {
	return Math.round(devicePxAt(scale, cell * scale.cellSteps));
}
/** The cell that a device pixel column belongs to: the inverse of `cellEdgeDevicePx`. */
function cellAtDevicePx(scale, devicePx) {
	const column = Math.floor(devicePx);
	let cell = Math.floor(stepAt(scale, column + .5) / scale.cellSteps);
	while (cellEdgeDevicePx(scale, cell + 1) <= column) cell++;
	while (cellEdgeDevicePx(scale, cell) > column) cell--;
	return cell;
}
/** Cells [first, end) with a pixel on the canvas that the run may have. */
function cellsInView(scale, grid) {
	const run = cellAligned(grid, scale.level);
	const first = Math.max(cellAtDevicePx(scale, 0), run.start / scale.cellSteps);
	const end = Math.min(cellAtDevicePx(scale, scale.widthDevicePx - 1) + 1, run.end / scale.cellSteps);
	return [first, Math.max(first, end)];
}
function tileOfCell(cell) {
	return Math.floor(cell / 512);
}
/** Steps at which to put ticks: multiples of 1, 2 or 5 times a power of ten, at least `gapDevicePx` apart. */
function stepTicks(scale, gapDevicePx) {
	const least = (scale.end - scale.start) * gapDevicePx / scale.widthDevicePx;
	const gap = Math.max(1, niceAbove(least));
	const first = Math.ceil(scale.start / gap);
	const count = Math.min(scale.widthDevicePx, Math.floor(scale.end / gap) - first + 1);
	return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * gap);
}
/** The smallest 1, 2 or 5 times a power of ten that is not below a positive value. */
function niceAbove(value) {
	const power = 10 ** Math.floor(Math.log10(value));
	for (const digit of [
		1,
		2,
		5
	]) if (digit * power >= value * (1 - 1e-9)) return digit * power;
	return 10 * power;
}
// src/viewport.ts
var ROW_CSS_PX = 18;
/** Row height in whole device pixels, for the tree as for the canvas, so that both stay aligned at any zoom. */
function rowDevicePx(devicePixelRatio) {
	return Math.max(1, Math.round(ROW_CSS_PX * devicePixelRatio));
}
function rowCssPx(devicePixelRatio) {
	return rowDevicePx(devicePixelRatio) / devicePixelRatio;
}
function rowTopDevicePx(viewport, row) {
	return row * rowDevicePx(viewport.devicePixelRatio) - viewport.scrollDevicePx;
}
function rowAtDevicePx(viewport, devicePx) {
	return Math.floor((devicePx + viewport.scrollDevicePx) / rowDevicePx(viewport.devicePixelRatio));
}
/** Rows [first, end) of `count` that have a pixel in the viewport. */
function rowsInView(viewport, count) {
	const first = Math.max(0, rowAtDevicePx(viewport, 0));
	const end = Math.min(count, rowAtDevicePx(viewport, viewport.heightDevicePx - 1) + 1);
	return [Math.min(first, end), end];
}
/** The tiles behind some rows' nodes and the cells [first, end), each once, in reading order. */
function tilesBehind(nodes, cells, level) {
	if (cells[0] >= cells[1]) return [];
	const blocks = /* @__PURE__ */ new Set();
	for (const node of nodes) blocks.add(Math.floor(node / 64));
	const ids = [];
	for (const r of blocks) for (let c = tileOfCell(cells[0]); c <= tileOfCell(cells[1] - 1); c++) ids.push({
		level,
		r,
		c
	});
	return ids;
}
/** A cell's rectangle on the canvas in CSS pixels, or null where no pixel of it is in the viewport. */
function cellRectCssPx(viewport, scale, row, cell) {
	const left = Math.max(0, cellEdgeDevicePx(scale, cell));
	const right = Math.min(viewport.widthDevicePx, cellEdgeDevicePx(scale, cell + 1));
	const top = rowTopDevicePx(viewport, row);
	const height = rowDevicePx(viewport.devicePixelRatio);
	if (row < 0 || left >= right || top + height <= 0 || top >= viewport.heightDevicePx) return null;
	const ratio = viewport.devicePixelRatio;
	return {
		x: left / ratio,
		y: top / ratio,
		width: (right - left) / ratio,
		height: height / ratio
	};
}
/** Row and cell under a point of the canvas in CSS pixels. */
function cellAtCssPx(viewport, scale, cssX, cssY) {
	const ratio = viewport.devicePixelRatio;
	return {
		row: rowAtDevicePx(viewport, cssY * ratio),
		cell: cellAtDevicePx(scale, cssX * ratio)
	};
}
/** Horizontal place of a step on the canvas, in CSS pixels. */
function stepCssX(viewport, scale, step) {
	return devicePxAt(scale, step) / viewport.devicePixelRatio;
}
// node_modules/preact/jsx-runtime/dist/jsxRuntime.mjs
var f$1 = Symbol.for("pv");
var o$1 = 0;
Array.isArray;
function a$1(t, e, n, u, a, i) {
	e || (e = {});
	var c, l, p = e;
	if ("ref" in p && "function" != typeof t) for (l in p = {}, e) "ref" == l ? c = e[l] : p[l] = e[l];
	var s = {
		type: t,
		props: p,
		key: n,
		ref: c,
		__k: null,
		__: null,
		__b: 0,
		__e: null,
		__c: null,
		constructor: f$1,
		__v: --o$1,
		__i: -1,
		__u: 0
	};
	return (a || i) && (s.__source = a, s.__self = i), n$1.vnode && n$1.vnode(s), s;
}
// src/axis.tsx
var TICK_GAP_CSS_PX = 90;
/** The step axis above the heatmap. */
function Axis({ store }) {
	const [scale, viewport] = [store.scale.value, store.viewport.value];
	if (scale === null) return /* @__PURE__ */ a$1("div", { class: "axis" });
	return /* @__PURE__ */ a$1("div", {
		class: "axis",
		children: [stepTicks(scale, TICK_GAP_CSS_PX * viewport.devicePixelRatio).map((step) => /* @__PURE__ */ a$1("span", {
			class: "tick",
			style: { left: px(stepCssX(viewport, scale, step)) },
			children: formatCount(step)
		}, step)), /* @__PURE__ */ a$1("span", {
			class: "axis-title",
			children: ["step", store.window.value !== null && /* @__PURE__ */ a$1("button", {
				type: "button",
				"data-testid": "whole-run",
				title: "Show the whole run and follow it: double-click, or 0",
				onClick: () => {
					store.window.value = null;
				},
				children: "Whole run"
			})]
		})]
	});
}
// node_modules/@preact/signals-core/dist/signals-core.module.js
var i = Symbol.for("preact-signals");
function t() {
	if (!(v > 1)) {
		var i, t = !1;
		(function() {
			var i = c;
			c = void 0;
			while (void 0 !== i) {
				var t = i.S;
				if (t.v === i.v) {
					for (var r = t.t; void 0 !== r; r = r.x) if (r.i === i.i) r.i = t.i;
				}
				i = i.o;
			}
		})();
		while (void 0 !== h$1) {
			var r = h$1;
			h$1 = void 0;
			s++;
			while (void 0 !== r) {
				var n = r.u;
				r.u = void 0;
				r.f &= -3;
				if (!(8 & r.f) && w$1(r)) try {
					r.c();
				} catch (r) {
					if (!t) {
						i = r;
						t = !0;
					}
				}
				r = n;
			}
		}
		s = 0;
		v--;
		if (t) throw i;
	} else v--;
}
function r(i) {
	if (v > 0) return i();
	u = ++e;
	v++;
	try {
		return i();
	} finally {
		t();
	}
}
var n;
var o = void 0;
function f(i) {
	var t = o, r = n;
	o = void 0;
	n = void 0;
	try {
		return i();
	} finally {
		o = t;
		n = r;
	}
}
var h$1 = void 0;
var v = 0;
var s = 0;
var e = 0;
var u = 0;
var c = void 0;
var a = 0;
function d$1(i) {
	if (void 0 !== o) {
		var t = i.n;
		if (void 0 === t || t.t !== o) {
			t = {
				i: 0,
				S: i,
				p: o.s,
				n: void 0,
				t: o,
				e: void 0,
				x: void 0,
				r: t
			};
			if (void 0 !== o.s) o.s.n = t;
			o.s = t;
			i.n = t;
			if (32 & o.f) i.S(t);
			return t;
		} else if (-1 === t.i) {
			t.i = 0;
			if (void 0 !== t.n) {
				t.n.p = t.p;
				if (void 0 !== t.p) t.p.n = t.n;
				t.p = o.s;
				t.n = void 0;
				o.s.n = t;
				o.s = t;
			}
			return t;
		}
	}
}
function l(i, t) {
	this.v = i;
	this.i = 0;
	this.n = void 0;
	this.t = void 0;
	this.l = 0;
	this.W = null == t ? void 0 : t.watched;
	this.Z = null == t ? void 0 : t.unwatched;
	this.name = null == t ? void 0 : t.name;
}
l.prototype.brand = i;
l.prototype.h = function() {
	return !0;
};
l.prototype.S = function(i) {
	var t = this, r = this.t;
	if (r !== i && void 0 === i.e) {
		i.x = r;
		this.t = i;
		if (void 0 !== r) r.e = i;
		else f(function() {
			var i;
			null == (i = t.W) || i.call(t);
		});
	}
};
l.prototype.U = function(i) {
	var t = this;
	if (void 0 !== this.t) {
		var r = i.e, n = i.x;
		if (void 0 !== r) {
			r.x = n;
			i.e = void 0;
		}
		if (void 0 !== n) {
			n.e = r;
			i.x = void 0;
		}
		if (i === this.t) {
			this.t = n;
			if (void 0 === n) f(function() {
				var i;
				null == (i = t.Z) || i.call(t);
			});
		}
	}
};
l.prototype.subscribe = function(i) {
	var t = this;
	return x(function() {
		var r = t.value;
		f(function() {
			return i(r);
		});
	}, { name: "sub" });
};
l.prototype.valueOf = function() {
	return this.value;
};
l.prototype.toString = function() {
	return this.value + "";
};
l.prototype.toJSON = function() {
	return this.value;
};
l.prototype.peek = function() {
	var i = this;
	return f(function() {
		return i.value;
	});
};
Object.defineProperty(l.prototype, "value", {
	get: function() {
		var i = d$1(this);
		if (void 0 !== i) i.i = this.i;
		return this.v;
	},
	set: function(i) {
		if (i !== this.v) {
			if (s > 100) throw new Error("Cycle detected");
			(function(i) {
				if (0 !== v && 0 === s) {
					if (i.l !== u) {
						i.l = u;
						c = {
							S: i,
							v: i.v,
							i: i.i,
							o: c
						};
					}
				}
			})(this);
			this.v = i;
			this.i++;
			a++;
			v++;
			try {
				for (var r = this.t; void 0 !== r; r = r.x) r.t.N();
			} finally {
				t();
			}
		}
	}
});
function y$1(i, t) {
	return new l(i, t);
}
function w$1(i) {
	for (var t = i.s; void 0 !== t; t = t.n) if (t.S.i !== t.i || !t.S.h() || t.S.i !== t.i) return !0;
	return !1;
}
function b$1(i) {
	for (var t = i.s; void 0 !== t; t = t.n) {
		var r = t.S.n;
		if (void 0 !== r) t.r = r;
		t.S.n = t;
		t.i = -1;
		if (void 0 === t.n) {
			i.s = t;
			break;
		}
	}
}
function _(i) {
	var t = i.s, r = void 0;
	while (void 0 !== t) {
		var n = t.p;
		if (-1 === t.i) {
			t.S.U(t);
			if (void 0 !== n) n.n = t.n;
			if (void 0 !== t.n) t.n.p = n;
		} else r = t;
		t.S.n = t.r;
		if (void 0 !== t.r) t.r = void 0;
		t = n;
	}
	i.s = r;
}
function j(i, t) {
	l.call(this, void 0, t);
	this.x = i;
	this.s = void 0;
	this.g = a - 1;
	this.f = 4;
}
j.prototype = new l();
j.prototype.h = function() {
	this.f &= -3;
	if (1 & this.f) return !1;
	if (32 == (36 & this.f)) return !0;
	this.f &= -5;
	if (this.g === a) return !0;
	this.g = a;
	this.f |= 1;
	if (this.i > 0 && !w$1(this)) {
		this.f &= -2;
		return !0;
	}
	var i = o;
	try {
		b$1(this);
		o = this;
		var t = this.x();
		if (16 & this.f || this.v !== t || 0 === this.i) {
			this.v = t;
			this.f &= -17;
			this.i++;
		}
	} catch (i) {
		this.v = i;
		this.f |= 16;
		this.i++;
	}
	o = i;
	_(this);
	this.f &= -2;
	return !0;
};
j.prototype.S = function(i) {
	if (void 0 === this.t) {
		this.f |= 36;
		for (var t = this.s; void 0 !== t; t = t.n) t.S.S(t);
	}
	l.prototype.S.call(this, i);
};
j.prototype.U = function(i) {
	if (void 0 !== this.t) {
		l.prototype.U.call(this, i);
		if (void 0 === this.t) {
			this.f &= -33;
			for (var t = this.s; void 0 !== t; t = t.n) t.S.U(t);
		}
	}
};
j.prototype.N = function() {
	if (!(2 & this.f)) {
		this.f |= 6;
		for (var i = this.t; void 0 !== i; i = i.x) i.t.N();
	}
};
Object.defineProperty(j.prototype, "value", { get: function() {
	if (1 & this.f) throw new Error("Cycle detected");
	var i = d$1(this);
	this.h();
	if (void 0 !== i) i.i = this.i;
	if (16 & this.f) throw this.v;
	return this.v;
} });
function O(i, t) {
	return new j(i, t);
}
function p$1(i) {
	var r = i.j;
	i.j = void 0;
	if ("function" == typeof r) {
		v++;
		var n = o;
		o = void 0;
		try {
			r();
		} catch (t) {
			i.f &= -2;
			i.f |= 8;
			g$1(i);
			throw t;
		} finally {
			o = n;
			t();
		}
	}
}
function g$1(i) {
	for (var t = i.s; void 0 !== t; t = t.n) t.S.U(t);
	i.x = void 0;
	i.s = void 0;
	p$1(i);
}
function S(i) {
	if (o !== this) throw new Error("Out-of-order effect");
	_(this);
	o = i;
	this.f &= -2;
	try {
		if (8 & this.f) g$1(this);
	} finally {
		t();
	}
}
function m$1(i, t) {
	this.x = i;
	this.j = void 0;
	this.s = void 0;
	this.u = void 0;
	this.f = 32;
	this.name = null == t ? void 0 : t.name;
	if (n) n.push(this);
}
m$1.prototype.c = function() {
	var i = this.S();
	try {
		if (8 & this.f) return;
		if (void 0 === this.x) return;
		var t = this.x();
		if ("function" == typeof t) this.j = t;
	} finally {
		i();
	}
};
m$1.prototype.S = function() {
	if (1 & this.f) throw new Error("Cycle detected");
	this.f |= 1;
	this.f &= -9;
	p$1(this);
	b$1(this);
	v++;
	var i = o;
	o = this;
	return S.bind(this, i);
};
m$1.prototype.N = function() {
	if (!(2 & this.f)) {
		this.f |= 2;
		this.u = h$1;
		h$1 = this;
	}
};
m$1.prototype.d = function() {
	this.f |= 8;
	if (!(1 & this.f)) g$1(this);
};
m$1.prototype.dispose = function() {
	this.d();
};
function x(i, t) {
	var r = new m$1(i, t);
	try {
		r.c();
	} catch (i) {
		r.d();
		throw i;
	}
	var n = r.d.bind(r);
	n[Symbol.dispose] = n;
	return n;
}
// node_modules/@preact/signals/dist/signals.module.js
var h;
var p;
var m = "undefined" != typeof window && !!window.__PREACT_SIGNALS_DEVTOOLS__;
var g = [];
x(function() {
	h = this.N;
})();
function b(i, n) {
	n$1[i] = n.bind(null, n$1[i] || function() {});
}
function y(i) {
	if (p) {
		var n = p;
		p = void 0;
		n();
	}
	p = i && i.S();
}
function w(i) {
	var n = this, r = i.data, t = useSignal(r);
	t.name = "ReactiveDom";
	t.value = r;
	var e = w$2(function() {
		var i = n, r = n.__v;
		while (r = r.__) if (r.__c) {
			r.__c.__$f |= 4;
			break;
		}
		var o = O(function() {
			var i = t.value.value;
			return 0 === i ? 0 : !0 === i ? "" : i || "";
		}), e = O(function() {
			return !Array.isArray(o.value) && !r$2(o.value);
		}), u = x(function() {
			this.N = M;
			if (e.value) {
				var n = o.value;
				if (i.__v && i.__v.__e && 3 === i.__v.__e.nodeType) i.__v.__e.data = n;
			}
		}), c = n.__$u.d;
		n.__$u.d = function() {
			u();
			c.call(this);
		};
		return [e, o];
	}, []), u = e[0], c = e[1];
	return u.value ? c.peek() : c.value;
}
w.displayName = "ReactiveTextNode";
Object.defineProperties(l.prototype, {
	constructor: {
		configurable: !0,
		value: k$2($, null).constructor
	},
	type: {
		configurable: !0,
		value: w
	},
	props: {
		configurable: !0,
		get: function() {
			var i = this;
			return { data: { get value() {
				return i.value;
			} } };
		}
	},
	__b: {
		configurable: !0,
		value: 1
	}
});
b("__b", function(i, n) {
	y();
	if ("string" == typeof n.type) {
		var r, t = n.props;
		for (var f in t) if ("children" !== f) {
			var o = t[f];
			if (o instanceof l) {
				if (!r) n.__np = r = {};
				r[f] = o;
				t[f] = o.peek();
			}
		}
	}
	i(n);
});
b("__r", function(i, r) {
	i(r);
	if (r.type !== $) {
		y();
		var t, f = r.__c;
		if (f) {
			f.__$f &= -2;
			if (void 0 === (t = f.__$u)) f.__$u = t = function(i, n) {
				var r;
				x(function() {
					r = this;
				}, { name: n });
				r.c = i;
				return r;
			}(function(i) {
				return function() {
					var n;
					if (m) null == (n = this.y) || n.call(this);
					i.__$f |= 1;
					i.setState({});
				};
			}(f), "function" == typeof r.type ? r.type.displayName || r.type.name : "");
		}
		y(t);
	}
});
b("__e", function(i, n, r, t) {
	y();
	i(n, r, t);
});
b("diffed", function(i, n) {
	y();
	var r;
	if ("string" == typeof n.type && (r = n.__e)) {
		var t = n.__np, f = n.props, o = r.U;
		if (o) for (var e in o) {
			var u = o[e];
			if (!(void 0 === u || t && e in t)) {
				u.d();
				o[e] = void 0;
			}
		}
		if (t) {
			if (!o) {
				o = {};
				r.U = o;
			}
			for (var a in t) {
				var c = o[a], v = t[a];
				if (void 0 === c) {
					c = k(r, a, v, f);
					o[a] = c;
				} else c.o(v, f);
			}
		}
	}
	i(n);
});
function k(i, n, r, t) {
	var f = n in i && void 0 === i.ownerSVGElement, o = y$1(r);
	return {
		o: function(i, n) {
			o.value = i;
			t = n;
		},
		d: x(function() {
			this.N = M;
			var r = o.value.value;
			if (t[n] !== r) {
				t[n] = r;
				if (f) i[n] = r;
				else if (null != r && (!1 !== r || "-" === n[4])) i.setAttribute(n, r);
				else i.removeAttribute(n);
			}
		})
	};
}
b("unmount", function(i, n) {
	if ("string" == typeof n.type) {
		var r = n.__e;
		if (r) {
			var t = r.U;
			if (t) {
				r.U = void 0;
				for (var f in t) {
					var o = t[f];
					if (o) o.d();
				}
			}
		}
		var e = n.__np;
		if (e) {
			var u = n.props;
			for (var a in e) u[a] = e[a];
		}
		n.__np = void 0;
	} else {
		var c = n.__c;
		if (c) {
			c.__$f |= 8;
			var v = c.__$u;
			if (v) {
				c.__$u = void 0;
				v.d();
			}
		}
	}
	i(n);
});
b("__h", function(i, n, r, t) {
	if (t < 3) n.__$f |= 2;
	i(n, r, t);
});
x$1.prototype.shouldComponentUpdate = function(i, n) {
	if (this.__R) return !0;
	var r = this.__$u, t = r && void 0 !== r.s;
	for (var f in n) return !0;
	if (this.__f || "boolean" == typeof this.u && !0 === this.u) {
		var o = 2 & this.__$f;
		if (!(t || o || 4 & this.__$f)) return !0;
		if (1 & this.__$f) return !0;
	} else {
		if (!(t || 4 & this.__$f)) return !0;
		if (3 & this.__$f) return !0;
	}
	for (var e in i) if ("__source" !== e && i[e] !== this.props[e]) return !0;
	for (var u in this.props) if (!(u in i)) return !0;
	return !1;
};
function useSignal(i, n) {
	return w$2(function() {
		return y$1(i, n);
	}, []);
}
var A = function(i) {
	queueMicrotask(function() {
		queueMicrotask(i);
	});
};
function F() {
	r(function() {
		var i;
		while (i = g.shift()) h.call(i);
	});
}
function M() {
	if (1 === g.push(this)) (n$1.requestAnimationFrame || A)(F);
}
// src/gestures.ts
/** Closer by this factor at one press of a key. */
var KEY_ZOOM = .7;
/** A wheel's notch is 100 pixels or 3 lines, by browser; a notch zooms by about a third. */
var ZOOM_PER_CSS_PX = .003;
var LINE_CSS_PX = 33;
/** A press that moves less than this is a click. */
var DRAG_CSS_PX = 3;
function wheelCssPx(event, delta) {
	return event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? delta : delta * LINE_CSS_PX;
}
/** Mouse, touch and keys on the heatmap. A plain wheel is left to the page, which scrolls the rows. */
var Gestures = class {
	canvas;
	store;
	pointing;
	drag = null;
	constructor(canvas, store, pointing) {
		this.canvas = canvas;
		this.store = store;
		this.pointing = pointing;
	}
	/** Listens until the returned function is called. */
	attach() {
		const stop = new AbortController();
		const on = (type, listener) => {
			this.canvas.addEventListener(type, listener, {
				signal: stop.signal,
				passive: false
			});
		};
		on("wheel", (event) => {
			this.wheel(event);
		});
		on("pointerdown", (event) => {
			this.press(event);
		});
		on("pointermove", (event) => {
			this.move(event);
		});
		on("pointerup", (event) => {
			this.release(event);
		});
		on("pointercancel", () => {
			this.drag = null;
		});
		on("pointerleave", () => {
			this.store.pointer.value = null;
		});
		on("dblclick", () => {
			this.store.window.value = null;
		});
		on("keydown", (event) => {
			if (this.key(event)) event.preventDefault();
		});
		on("focus", () => {
			this.store.cursorShown.value = this.canvas.matches(":focus-visible");
		});
		on("blur", () => {
			this.store.cursorShown.value = false;
		});
		return () => {
			stop.abort();
		};
	}
	wheel(event) {
		const [across, down] = [wheelCssPx(event, event.deltaX), wheelCssPx(event, event.deltaY)];
		if (event.ctrlKey || event.altKey || event.metaKey) this.zoom(Math.exp((down || across) * ZOOM_PER_CSS_PX));
		else if (event.shiftKey) this.pan(across || down);
		else if (Math.abs(across) > Math.abs(down)) this.pan(across);
		else return;
		event.preventDefault();
	}
	zoom(factor) {
		const scale = this.store.scale.peek();
		if (scale !== null) this.store.zoomTo(zoomAround(scale, this.pointing.focusStep(), factor));
	}
	pan(cssPx) {
		const scale = this.store.scale.peek();
		if (scale === null || this.store.window.peek() === null) return;
		const devicePx = cssPx * this.store.size.peek().devicePixelRatio;
		this.store.zoomTo(shifted(scale, (scale.end - scale.start) * devicePx / scale.widthDevicePx));
	}
	press(event) {
		if (event.button !== 0) return;
		this.drag = {
			pointerId: event.pointerId,
			cssX: event.offsetX,
			moved: false
		};
	}
	move(event) {
		const { offsetX: cssX, offsetY: cssY } = event;
		if (this.drag?.pointerId !== event.pointerId) {
			this.store.pointer.value = {
				cssX,
				cssY
			};
			return;
		}
		const shift = cssX - this.drag.cssX;
		if (!this.drag.moved && Math.abs(shift) < DRAG_CSS_PX) return;
		if (!this.drag.moved) this.canvas.setPointerCapture(event.pointerId);
		r(() => {
			this.store.pointer.value = null;
			this.pan(-shift);
		});
		this.drag = {
			pointerId: event.pointerId,
			cssX,
			moved: true
		};
	}
	release(event) {
		const cell = this.pointing.cellAt(event.offsetX, event.offsetY);
		if (this.drag?.moved === false && cell !== null) this.pointing.placeCursor(cell);
		this.drag = null;
	}
	/** Whether the key meant something here. */
	key(event) {
		if (event.ctrlKey || event.metaKey || event.altKey) return false;
		const page = event.shiftKey ? 10 : 1;
		const action = {
			ArrowUp: () => {
				this.pointing.moveCursor(-page, 0);
			},
			ArrowDown: () => {
				this.pointing.moveCursor(page, 0);
			},
			ArrowLeft: () => {
				this.pointing.moveCursor(0, -page);
			},
			ArrowRight: () => {
				this.pointing.moveCursor(0, page);
			},
			PageUp: () => {
				this.pointing.moveCursor(-20, 0);
			},
			PageDown: () => {
				this.pointing.moveCursor(20, 0);
			},
			Home: () => {
				this.pointing.moveCursor(0, Number.NEGATIVE_INFINITY);
			},
			End: () => {
				this.pointing.moveCursor(0, Number.POSITIVE_INFINITY);
			},
			"+": () => {
				this.zoom(KEY_ZOOM);
			},
			"=": () => {
				this.zoom(KEY_ZOOM);
			},
			"-": () => {
				this.zoom(1 / KEY_ZOOM);
			},
			"0": () => {
				this.store.window.value = null;
			},
			Escape: () => {
				this.store.cursor.value = null;
			}
		}[event.key];
		action?.();
		return action !== void 0;
	}
};
// \0virtual:colour-maps
var COLOUR_MAPS = {
	"cividis": "00205100215300225500235600235800245900255a00255c00265d00275e00275f002860002961002962002a63002b64012b65022c65032d66042d67052e67052f6806306907306908316a09326a0b326a0c336b0d346b0e346b0f356c10366c12376c13376d14386d15396d17396d183a6d193b6d1a3b6d1c3c6e1d3d6e1e3e6e203e6e213f6e23406e24406e25416e27426e28436e29436e2b446e2c456e2e456e2f466e30476e32486e33486e34496e364a6e374a6e394b6e3a4c6e3b4d6e3d4d6e3e4e6e3f4f6e414f6e42506e43516d44526d46526d47536d48546d4a546d4b556d4c566d4d576d4e576e50586e51596e52596e535a6e545b6e565c6e575c6e585d6e595e6e5a5e6e5b5f6e5c606e5d616e5e616e60626e61636f62646f63646f64656f65666f66666f67676f6868706969706a69706b6a706c6b706d6c706d6c716e6d716f6e71706f71716f717270717371727471727572727673727674727774737875737976737a77737b77747b78747c79747d7a747e7a747f7b75807c75807d75817d75827e75837f768480768580768581768682768783768884778984778985778a86778b87778c87778d88778e89788e8a788f8a78908b78918c78928d78938e78938e78948f789590789691789792789892789993789a94789b95789b96789c96789d97789e98789f9978a09a78a19a78a29b78a39c78a49d78a59e77a69e77a79f77a8a077a9a177aaa276aba376aca376ada476aea575afa675b0a775b2a874b3a874b4a974b5aa73b6ab73b7ac72b8ad72baae72bbae71bcaf71bdb070beb170bfb26fc1b36fc2b46ec3b56dc4b56dc5b66cc7b76cc8b86bc9b96acaba6accbb69cdbc68cebc68cfbd67d1be66d2bf66d3c065d4c164d6c263d7c363d8c462d9c561dbc660dcc660ddc75fdec85ee0c95de1ca5ce2cb5ce3cc5be4cd5ae6ce59e7cf58e8d058e9d157ead256ebd355ecd454edd453eed553f0d652f1d751f1d850f2d950f3da4ff4db4ef5dc4df6dd4df7de4cf8df4bf8e04bf9e14afae249fae349fbe448fbe548fce647fce746fde846fde946fdea45",
	"viridis": "44015444025645045745055946075a46085c460a5d460b5e470d60470e6147106347116447136548146748166848176948186a481a6c481b6d481c6e481d6f481f70482071482173482374482475482576482677482878482979472a7a472c7a472d7b472e7c472f7d46307e46327e46337f463480453581453781453882443983443a83443b84433d84433e85423f854240864241864142874144874045884046883f47883f48893e49893e4a893e4c8a3d4d8a3d4e8a3c4f8a3c508b3b518b3b528b3a538b3a548c39558c39568c38588c38598c375a8c375b8d365c8d365d8d355e8d355f8d34608d34618d33628d33638d32648e32658e31668e31678e31688e30698e306a8e2f6b8e2f6c8e2e6d8e2e6e8e2e6f8e2d708e2d718e2c718e2c728e2c738e2b748e2b758e2a768e2a778e2a788e29798e297a8e297b8e287c8e287d8e277e8e277f8e27808e26818e26828e26828e25838e25848e25858e24868e24878e23888e23898e238a8d228b8d228c8d228d8d218e8d218f8d21908d21918c20928c20928c20938c1f948c1f958b1f968b1f978b1f988b1f998a1f9a8a1e9b8a1e9c891e9d891f9e891f9f881fa0881fa1881fa1871fa28720a38620a48621a58521a68522a78522a88423a98324aa8325ab8225ac8226ad8127ad8128ae8029af7f2ab07f2cb17e2db27d2eb37c2fb47c31b57b32b67a34b67935b77937b87838b9773aba763bbb753dbc743fbc7340bd7242be7144bf7046c06f48c16e4ac16d4cc26c4ec36b50c46a52c56954c56856c66758c7655ac8645cc8635ec96260ca6063cb5f65cb5e67cc5c69cd5b6ccd5a6ece5870cf5773d05675d05477d1537ad1517cd2507fd34e81d34d84d44b86d54989d5488bd6468ed64590d74393d74195d84098d83e9bd93c9dd93ba0da39a2da37a5db36a8db34aadc32addc30b0dd2fb2dd2db5de2bb8de29bade28bddf26c0df25c2df23c5e021c8e020cae11fcde11dd0e11cd2e21bd5e21ad8e219dae319dde318dfe318e2e418e5e419e7e419eae51aece51befe51cf1e51df4e61ef6e620f8e621fbe723fde725",
	"rdbu": "05306106326407346708366a09386d0a3b700c3d730d3f750e41780f437b10457e114781124983134b86154d89164f8b17528e1854901956931a58951b5a981d5c9a1e5e9c1f609e2062a02164a22365a42467a62569a8266baa286dab296fad2a71ae2c73b02d75b12e76b23078b4317ab5337cb6347eb73680b93781ba3983bb3b85bc3d87bd3e89be408bbf428cc0448ec14690c24892c34b94c44d96c54f98c65199c7549bc8569dc9599fca5ba1cb5ea3cc61a5cd64a7ce66a8cf69aad06cacd16faed271b0d374b2d477b3d57ab5d67db7d780b9d783bbd885bcd988beda8bc0db8ec1dc91c3dd93c4de96c6df99c7e09cc9e09ecae1a1cce2a3cde3a6cfe3a9d0e4abd1e5aed3e6b0d4e6b2d5e7b5d7e8b7d8e8bad9e9bcdaeabedbeac0dcebc2ddecc5dfecc7e0edc9e1edcbe2eecde3eecfe4efd1e5efd3e6f0d4e6f0d6e7f0d8e8f1dae9f1dbeaf1ddeaf2dfebf2e0ecf2e2ecf2e3edf2e5edf2e6eef2e7eef2e9eff2eaeff2ebeff1eceff1edf0f1eef0f0eff0f0f0f0eff1efeef2efedf3efedf4efecf4eeebf5eee9f6ede8f6ede7f7ece6f7ebe4f8eae3f8eae1f9e9e0f9e8def9e7dcfae6dafae5d8fae3d7fae2d5fae1d3fae0d1fadecffbddccfbdbcafbdac8fbd8c6fbd7c4fad5c1fad3bffad2bcfad0bafaceb8faccb5facab3f9c9b0f9c7aef9c5abf8c3a9f8c1a6f8bfa4f7bda1f7ba9ff6b89cf6b69af5b497f5b295f4af92f4ad90f3ab8df2a88bf2a688f1a486f0a183ef9f81ee9c7fee9a7ced977aec9578eb9276ea9073e98d71e88b6fe7886de6856be58369e48067e27d65e17b63e07861df755fde735ddd705bdb6d59da6b57d96855d86554d66252d55f50d45d4ed25a4dd1574bd0544ace5248cd4f46cc4c45ca4943c94742c74441c6413fc43f3ec33c3dc13a3bbf373abe3539bc3238ba3036b82e35b72b34b52933b32732b12531af2330ad212faa1f2ea81d2da61c2da41a2ca1182b9f172a9c15299a14299712289411279210278f0f268c0d268a0c25870b24840a248109237e08237b07227906227605217304217003206d02206a011f67001f",
	"puor": "7f3b08813c08833d08853e088740088941088b42088d43088f4407914507934707954807974907994a079b4b079d4c079f4e07a14f07a35008a55208a75308a95408ab5508ad5708af5808b15909b35b09b55c09b75e09b85f0aba610abc620abe640bc0650bc2670cc3680cc56a0dc76b0ec96d0eca6f0fcc7010ce7211cf7412d17613d37714d47916d67b17d77d18d97e1ada801bdc821ddd841fdf8621e08823e28a25e38c27e48e29e6902be7922ee89430e99533ea9735ec9938ed9b3bee9d3eef9f40f0a143f1a346f2a549f3a74cf4a94ff4ab52f5ad55f6af59f7b15cf7b35ff8b562f9b765f9b868faba6cfabc6ffbbe72fbbf75fbc178fcc37cfcc57ffcc682fcc885fdc988fdcb8bfdcd8ffdce92fdd095fdd198fdd29bfdd49efdd5a1fdd7a4fdd8a7fdd9aafddbadfddcb0fdddb3fddeb6fce0b9fce1bcfce2befce3c1fce4c4fbe5c6fbe6c9fbe7ccfbe8cefae9d0fae9d3faead5f9ebd7f9ecd9f9ecdbf8edddf8eddff7eee1f7eee3f6eee4f5eee6f5eee7f4eee8f3eeeaf3eeebf2eeecf1eeecf0ededefedeeeeedeeedecefecebefebebefeaeaefe9e9efe8e8efe7e7efe6e6efe5e5efe4e4eee2e3eee1e2eee0e1eddfdfeddddeecdcddecdbdbebdadaead8d8ead7d7e9d5d5e8d4d4e7d3d2e7d1d1e6d0cfe5cfcee4cdcce3cccae2cac9e1c9c7e1c7c5e0c6c3dfc4c1dec3c0ddc1bedcc0bcdbbebadabcb8d9bbb6d7b9b4d6b8b2d5b6b0d4b4afd3b3add2b1abd0afa8cfada6ceaca4cdaaa2cba8a0caa69ec9a49cc7a39ac6a198c59f96c39d93c29b91c1998fbf978dbe968abc9488bb9286b99083b88e81b78c7fb58a7cb4887ab28777b18575af8372ae8170ac7f6dab7d6aa97c68a87a65a77862a57660a4745da2735aa171589f6f559e6d529c6c4f9b6a4d99684a98664796654594634293613f91603d8f5e3a8e5c388c5b358a593388573187562e85542c83522a8151287f4f267d4e247b4c22794a2077491e75471c72461a7044186e43166c41156a3f13673e11653c10633b0e60390c5e380b5c3609593508573306553205523003502f024d2d004b"
};
// src/ranges.ts
/** A log scale shows no more decades than this: a few dead tensors must not squeeze all others into one colour. */
var MOST_DECADES = 9;
/** Values sampled for a robust range: enough for its percentiles, few enough to sort within a frame. */
var SAMPLE = 2e4;
/** Where a value lies on the ramp, from 0 to 1; values beyond the ends take the end's colour. */
function position(range, value) {
	if (range.kind === "signed") return (1 + Math.sign(value) * along(range, Math.abs(value))) / 2;
	return along(range, value);
}
function along({ scale, lo, hi }, value) {
	if (value <= lo) return 0;
	if (value >= hi) return 1;
	return scale === "log" ? Math.log(value / lo) / Math.log(hi / lo) : (value - lo) / (hi - lo);
}
/**
* Robust ranges: a single spike does not wash out the rest, it shows in the end's colour. Without any finite value
* they are only something to draw with.
*/
function robustRanges(kind, values) {
	const stride = Math.ceil(values.length / SAMPLE);
	const finite = values.filter((value, i) => i % stride === 0 && Number.isFinite(value));
	const sizes = kind === "signed" ? finite.map(Math.abs).sort() : finite.sort();
	return {
		log: logRange(kind, sizes),
		linear: linearRange(kind, sizes),
		fromData: sizes.length > 0
	};
}
function quantile(sorted, q) {
	return sorted[Math.round(q * (sorted.length - 1))];
}
function logRange(kind, sorted) {
	const positive = sorted.filter((value) => value > 0);
	const high = quantile(positive, .995) ?? 1;
	const low = quantile(positive, kind === "signed" ? .1 : .01) ?? high;
	const hi = clampFraction(kind, niceAbove(high));
	return {
		kind,
		scale: "log",
		lo: niceBelow(Math.min(Math.max(low, hi / 10 ** MOST_DECADES), hi / 10)),
		hi
	};
}
function linearRange(kind, sorted) {
	const high = quantile(sorted, kind === "signed" ? .98 : .995) ?? 1;
	const low = kind === "signed" ? 0 : Math.max(0, quantile(sorted, .005) ?? 0);
	if (low < high / 2) return {
		kind,
		scale: "linear",
		lo: 0,
		hi: clampFraction(kind, niceAbove(high))
	};
	if (high === 0) return {
		kind,
		scale: "linear",
		lo: 0,
		hi: 1
	};
	const grain = niceAbove(Math.max(high - low, high * .001) / 5);
	const lo = Math.max(0, Math.floor(low / grain) * grain);
	const hi = clampFraction(kind, Math.max(Math.ceil(high / grain), Math.round(lo / grain) + 1) * grain);
	return {
		kind,
		scale: "linear",
		lo: lo < hi - grain / 2 ? lo : hi - grain,
		hi
	};
}
function clampFraction(kind, hi) {
	return kind === "fraction" ? Math.min(1, hi) : hi;
}
function niceBelow(value) {
	return 1 / niceAbove(1 / value);
}
/** Values for the legend's tick labels, each at most once, from low to high. */
function rangeTicks(range, most) {
	if (range.kind !== "signed") return magnitudeTicks(range, most);
	const positive = magnitudeTicks(range, Math.max(2, Math.floor(most / 2))).filter((value) => value > 0);
	return [
		...positive.map((value) => -value).reverse(),
		0,
		...positive
	];
}
function magnitudeTicks({ scale, lo, hi }, most) {
	const ticks = [];
	if (scale === "log") {
		const first = Math.ceil(Math.log10(lo) - 1e-9);
		const last = Math.floor(Math.log10(hi) + 1e-9);
		const stride = Math.max(1, Math.ceil((last - first + 1) / most));
		for (let power = first; power <= last; power += stride) ticks.push(10 ** power);
		if (ticks.length < 2) return [lo, hi];
	} else {
		const gap = niceAbove((hi - lo) / (most - 1));
		const first = Math.ceil(lo / gap - 1e-9);
		const count = Math.min(2 * most, Math.floor(hi / gap * (1 + 1e-9)) - first + 1);
		for (let i = 0; i < count; i++) ticks.push((first + i) * gap);
	}
	return ticks;
}
// src/colours.ts
var COLOUR_MAPS_OF = {
	sequential: [{
		name: "cividis",
		label: "Cividis"
	}, {
		name: "viridis",
		label: "Viridis"
	}],
	diverging: [{
		name: "rdbu",
		label: "Blue to red"
	}, {
		name: "puor",
		label: "Purple to orange"
	}]
};
/** Zero on a log scale: below every colour of the ramps, and a blue that cividis, viridis and their greys lack. */
var ZERO = [
	150,
	190,
	235
];
/** NaN and Inf, in both themes; white signs on it have a contrast of 5.6:1. */
var NON_FINITE = [
	196,
	0,
	150
];
var RAMP_COLOURS = 256;
var CODES = 65536;
function colourFamily(kind) {
	return kind === "signed" ? "diverging" : "sequential";
}
function cssColour([red, green, blue]) {
	return `rgb(${red} ${green} ${blue})`;
}
function rampColour(map, t) {
	const index = Math.min(255, Math.max(0, Math.round(t * 255)));
	const bits = Number.parseInt(COLOUR_MAPS[map].slice(6 * index, 6 * index + 6), 16);
	return [
		bits >> 16,
		bits >> 8 & 255,
		bits & 255
	];
}
var bits = /* @__PURE__ */ new Uint32Array(1);
var asFloat = new Float32Array(bits.buffer);
/** bf16 is the upper half of a float32. */
function bf16Value(code) {
	bits[0] = code << 16;
	return asFloat[0] ?? NaN;
}
/** A folded fraction: up to 0.5 as itself, above as −(1 − f), so that −0 is exactly 1. */
function foldedValue(code) {
	const value = bf16Value(code);
	return value < 0 || Object.is(value, -0) ? 1 + value : value;
}
function valueOf(code, folded) {
	return folded ? foldedValue(code) : bf16Value(code);
}
/** For each of the 65,536 codes: an index into the ramp, or NO_DATA_INDEX or ZERO_INDEX. */
function colourIndices(range, folded) {
	const indices = new Uint16Array(CODES);
	for (let code = 0; code < CODES; code++) {
		const value = valueOf(code, folded);
		if (Number.isNaN(value)) indices[code] = 256;
		else if (value === 0 && range.scale === "log" && range.kind !== "signed") indices[code] = 257;
		else indices[code] = Math.min(255, Math.floor(position(range, value) * RAMP_COLOURS));
	}
	return indices;
}
/** RGBA for each code, as one little-endian word; no data is transparent. */
function colourTable(range, folded, map) {
	const palette = /* @__PURE__ */ new Uint32Array(258);
	for (let i = 0; i < RAMP_COLOURS; i++) palette[i] = word(rampColour(map, i / 255));
	palette[256] = 0;
	palette[257] = word(ZERO);
	const table = new Uint32Array(CODES);
	colourIndices(range, folded).forEach((index, code) => table[code] = palette[index] ?? 0);
	return table;
}
function word([red, green, blue]) {
	return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
}
// src/picture.ts
/** The rows in view and what is known of them. */
function rowsOf(scene) {
	const [firstRow, endRow] = rowsInView(scene.viewport, scene.nodes.length);
	const cells = cellsInView(scene.scale, scene.grid);
	const rows = [];
	for (let row = firstRow; row < endRow; row++) rows.push(rowOf(scene, row, cells));
	return rows;
}
function rowOf(scene, row, [firstCell, endCell]) {
	const { scale, viewport } = scene;
	const node = scene.nodes[row] ?? 0;
	const r = Math.floor(node / 64);
	const pieces = [];
	const missing = [];
	for (let c = tileOfCell(firstCell); c * 512 < endCell; c++) {
		const left = cellEdgeDevicePx(scale, Math.max(firstCell, c * 512));
		const right = cellEdgeDevicePx(scale, Math.min(endCell, (c + 1) * 512));
		const span = {
			left: Math.max(0, left),
			right: Math.min(viewport.widthDevicePx, right)
		};
		const tile = scene.tileAt({
			level: scale.level,
			r,
			c
		});
		const shown = tile ?? coarserTile(scene, r, c);
		if (tile === void 0) missing.push(span);
		if (shown !== void 0 && node % 64 < shown.rows) pieces.push({
			...span,
			tile: shown
		});
	}
	return {
		row,
		node,
		pieces,
		missing
	};
}
function coarserTile({ scale, grid, tileAt }, r, c) {
	for (let up = 1; scale.level + up < grid.levels; up++) {
		const tile = tileAt({
			level: scale.level + up,
			r,
			c: Math.floor(c / 2 ** up)
		});
		if (tile !== void 0) return tile;
	}
}
/** The cell, at the scale's level, of each pixel column. */
function cellOfColumns(scale) {
	return Float64Array.from({ length: scale.widthDevicePx }, (_, column) => cellAtDevicePx(scale, column));
}
/** Colours one row's line of pixels [widthDevicePx]; columns without a value are left as they are. */
function paintLine(line, row, scale, cellOfColumn, tables) {
	for (const { tile, left, right } of row.pieces) {
		const table = tile.folded ? tables.folded : tables.plain;
		const coarser = 2 ** (tile.level - scale.level);
		const start = row.node % 64 * 512;
		for (let column = left; column < right; column++) {
			const cell = Math.floor((cellOfColumn[column] ?? 0) / coarser) - tile.c * 512;
			if (cell < tile.cells) line[column] = table[tile.codes[start + cell] ?? 0] ?? 0;
		}
	}
}
/**
* Marks of the rows, in the order to draw them: non-finite cells come last, so that nothing covers them. Adjacent
* cells with the same mark share one, unless `apart` says that cells of that width get one each.
*/
function marksOf$1(scene, rows, apart) {
	const marks = [];
	for (const row of rows) for (const piece of row.pieces) if (((piece.tile.rowFlags[row.node % 64] ?? 0) & 31) !== 0) collectMarks(marks, scene, row, piece, apart);
	const order = {
		noGradient: 0,
		incomplete: 1,
		nonFinite: 2
	};
	return marks.sort((a, b) => order[a.kind] - order[b.kind]);
}
function collectMarks(marks, scene, { row, node }, { tile, left, right }, apart) {
	const scale = {
		...scene.scale,
		level: tile.level,
		cellSteps: stepsInCell(scene.grid, tile.level)
	};
	const firstOfTile = tile.c * 512;
	const first = Math.max(firstOfTile, cellAtDevicePx(scale, left));
	const end = Math.min(firstOfTile + tile.cells, cellAtDevicePx(scale, right - 1) + 1);
	const start = node % 64 * 512 - firstOfTile;
	let open = null;
	for (let cell = first; cell < end; cell++) {
		const flags = tile.flags[start + cell] ?? 0;
		const kind = kindOf(flags, tile.codes[start + cell] ?? 0);
		if (kind === null && (flags & 16) === 0) {
			open = null;
			continue;
		}
		const [edge, nextEdge] = [cellEdgeDevicePx(scale, cell), cellEdgeDevicePx(scale, cell + 1)];
		const span = {
			left: Math.max(left, edge),
			right: Math.min(right, nextEdge)
		};
		if ((flags & 16) !== 0) marks.push({
			...span,
			row,
			node,
			kind: "incomplete",
			flags,
			cells: 1
		});
		if (kind === null) open = null;
		else if (open?.kind === kind && !(kind === "nonFinite" && apart(nextEdge - edge))) {
			open.right = span.right;
			open.flags |= flags;
			open.cells++;
		} else {
			open = {
				...span,
				row,
				node,
				kind,
				flags,
				cells: 1
			};
			marks.push(open);
		}
	}
}
function kindOf(flags, code) {
	if ((flags & 7) !== 0) return "nonFinite";
	return (flags & 8) !== 0 && Number.isNaN(bf16Value(code)) ? "noGradient" : null;
}
/** Values in view, for a colour range: of the rows in view, or of all rows in the tiles behind them. */
function valuesInView(scene, rows, of) {
	const values = [];
	const [firstCell, endCell] = cellsInView(scene.scale, scene.grid);
	const seen = /* @__PURE__ */ new Set();
	for (const { node, pieces } of rows) for (const { tile } of pieces) {
		if (tile.level !== scene.scale.level || of === "tiles" && seen.has(tile)) continue;
		seen.add(tile);
		const first = Math.max(0, firstCell - tile.c * 512);
		const end = Math.min(tile.cells, endCell - tile.c * 512);
		const [top, bottom] = of === "tiles" ? [0, tile.rows] : [node % 64, node % 64 + 1];
		for (let start = top * 512; start < bottom * 512; start += 512) for (const code of tile.codes.subarray(start + first, start + end)) values.push(valueOf(code, tile.folded));
	}
	return Float64Array.from(values);
}
// src/signs.ts
/** A non-finite cell is never narrower than this, whatever its width, so that no zoom loses it. */
var LEAST_DEVICE_PX = 3;
/** Cells at least this wide carry a sign each; narrower ones side by side share a hatch. */
var SIGN_CSS_PX = 10;
var SIGN = "#ffffff";
/** The strokes of each sign in a square of side 8: a cross, an arrow head up or down, a rhombus. */
var SIGN_PATHS = {
	nan: "M0 0L8 8M8 0L0 8",
	posInf: "M0 6L4 2L8 6",
	negInf: "M0 2L4 6L8 2",
	bothInf: "M4 0L8 4L4 8L0 4Z"
};
/** NaN wins over infinities, as it is what spreads. */
function signOf(flags) {
	if ((flags & 1) !== 0) return "nan";
	if ((flags & 2) === 0) return "negInf";
	return (flags & 4) === 0 ? "posInf" : "bothInf";
}
/** At least LEAST_DEVICE_PX of a cell's span, and all of it on the canvas. */
function widened({ left, right }, widthDevicePx) {
	const extra = LEAST_DEVICE_PX - (right - left);
	if (extra <= 0) return {
		left,
		right
	};
	const start = Math.max(0, Math.min(left - Math.ceil(extra / 2), widthDevicePx - LEAST_DEVICE_PX));
	return {
		left: start,
		right: start + LEAST_DEVICE_PX
	};
}
/** Draws on cells; patterns and signs are made once for each device pixel ratio. */
var Signs = class {
	context;
	devicePixelRatio;
	signs = /* @__PURE__ */ new Map();
	hatches = /* @__PURE__ */ new Map();
	constructor(context, devicePixelRatio) {
		this.context = context;
		this.devicePixelRatio = devicePixelRatio;
	}
	/** One or more adjacent non-finite cells; `sign` is null where they are too narrow for one each. */
	nonFinite(span, top, height, sign) {
		const { left, right } = widened(span, this.context.canvas.width);
		this.context.fillStyle = cssColour(NON_FINITE);
		this.context.fillRect(left, top, right - left, height);
		if (sign !== null) {
			const image = this.signImage(sign);
			const x = Math.round((left + right - image.width) / 2);
			this.context.drawImage(image, x, top + Math.round((height - image.height) / 2));
		} else if (right - left >= SIGN_CSS_PX * this.devicePixelRatio) this.hatch({
			left,
			right
		}, top, height, SIGN, 1.5);
	}
	hasRoom(widthDevicePx) {
		return widthDevicePx >= SIGN_CSS_PX * this.devicePixelRatio;
	}
	hatch({ left, right }, top, height, colour, lineCssPx = 1) {
		const pattern = this.hatchPattern(colour, lineCssPx);
		if (pattern === null) return;
		this.context.fillStyle = pattern;
		this.context.fillRect(left, top, right - left, height);
	}
	signImage(sign) {
		const known = this.signs.get(sign);
		if (known !== void 0) return known;
		const { canvas, context } = blank(Math.round(SIGN_CSS_PX * .8 * this.devicePixelRatio));
		context.scale(canvas.width / 11, canvas.height / 11);
		context.translate(1.5, 1.5);
		context.strokeStyle = SIGN;
		context.lineWidth = 2.2;
		context.lineCap = "round";
		context.stroke(new Path2D(SIGN_PATHS[sign]));
		this.signs.set(sign, canvas);
		return canvas;
	}
	hatchPattern(colour, lineCssPx) {
		const key = `${colour} ${lineCssPx}`;
		const known = this.hatches.get(key);
		if (known !== void 0) return known;
		const side = Math.round(6 * this.devicePixelRatio);
		const { canvas, context } = blank(side);
		context.strokeStyle = colour;
		context.lineWidth = lineCssPx * this.devicePixelRatio;
		context.beginPath();
		for (const shift of [
			-side,
			0,
			side
		]) {
			context.moveTo(shift - 1, side + 1);
			context.lineTo(shift + side + 1, -1);
		}
		context.stroke();
		const pattern = this.context.createPattern(canvas, "repeat");
		this.hatches.set(key, pattern);
		return pattern;
	}
};
function blank(side) {
	const canvas = document.createElement("canvas");
	canvas.width = side;
	canvas.height = side;
	return {
		canvas,
		context: contextOf(canvas)
	};
}
function contextOf(canvas, options) {
	const context = canvas.getContext("2d", options);
	if (context === null) throw new Error("expected a 2d canvas, got none: this browser has canvas switched off");
	return context;
}
// src/heatmap.ts
/**
* Draws one line of pixels for each row in view, then stretches the lines to the row's height. A frame costs one table
* lookup for each pixel column of each row: nothing is coloured that is not seen, and a new colour range is free.
*/
var Heatmap = class {
	canvas;
	context;
	lines;
	image = null;
	signs = null;
	constructor(canvas) {
		this.canvas = canvas;
		this.context = contextOf(canvas, { alpha: false });
		this.lines = contextOf(document.createElement("canvas"), { willReadFrequently: true });
	}
	/** `tables` is null while there is no colour range yet. */
	draw(scene, rows, tables, palette) {
		const { widthDevicePx, heightDevicePx, devicePixelRatio } = scene.viewport;
		if (this.canvas.width !== widthDevicePx) this.canvas.width = widthDevicePx;
		if (this.canvas.height !== heightDevicePx) this.canvas.height = heightDevicePx;
		if (this.signs?.devicePixelRatio !== devicePixelRatio) this.signs = new Signs(this.context, devicePixelRatio);
		this.context.fillStyle = palette.background;
		this.context.fillRect(0, 0, widthDevicePx, heightDevicePx);
		const marks = marksOf$1(scene, rows, (width) => this.signs?.hasRoom(width) ?? false);
		this.drawPending(scene, rows, tables, palette);
		if (tables !== null && rows.length > 0) this.drawLines(scene, rows, tables);
		this.drawGaps(scene, rows, palette);
		for (const mark of marks) this.drawMark(this.signs, scene, mark, palette);
		const bad = marks.filter((mark) => mark.kind === "nonFinite");
		return {
			complete: tables !== null && rows.every((row) => row.missing.length === 0),
			nonFiniteCells: bad.reduce((sum, mark) => sum + mark.cells, 0),
			nonFiniteNodes: new Set(bad.map((mark) => mark.node))
		};
	}
	drawPending(scene, rows, tables, palette) {
		this.context.fillStyle = palette.pending;
		const height = rowDevicePx(scene.viewport.devicePixelRatio);
		for (const { row, missing, pieces } of rows) for (const { left, right } of tables === null ? [...missing, ...pieces] : missing) this.context.fillRect(left, rowTopDevicePx(scene.viewport, row), right - left, height);
	}
	drawLines({ viewport, scale }, rows, tables) {
		const width = viewport.widthDevicePx;
		if (this.image?.width !== width || this.image.height !== rows.length) {
			this.image = new ImageData(width, rows.length);
			this.lines.canvas.width = width;
			this.lines.canvas.height = rows.length;
		}
		const words = new Uint32Array(this.image.data.buffer);
		words.fill(0);
		const cellOfColumn = cellOfColumns(scale);
		rows.forEach((row, i) => {
			paintLine(words.subarray(i * width, (i + 1) * width), row, scale, cellOfColumn, tables);
		});
		this.lines.putImageData(this.image, 0, 0);
		const top = rowTopDevicePx(viewport, rows[0]?.row ?? 0);
		const height = rows.length * rowDevicePx(viewport.devicePixelRatio);
		this.context.imageSmoothingEnabled = false;
		this.context.drawImage(this.lines.canvas, 0, 0, width, rows.length, 0, top, width, height);
	}
	drawGaps({ viewport }, rows, palette) {
		this.context.fillStyle = palette.background;
		const gap = gapDevicePx(viewport.devicePixelRatio);
		for (const { row } of rows) this.context.fillRect(0, rowTopDevicePx(viewport, row + 1) - gap, viewport.widthDevicePx, gap);
	}
	drawMark(signs, { viewport }, mark, palette) {
		const ratio = viewport.devicePixelRatio;
		const top = rowTopDevicePx(viewport, mark.row);
		const height = rowDevicePx(ratio) - gapDevicePx(ratio);
		if (mark.kind === "noGradient") signs.hatch(mark, top, height, palette.hatch);
		else if (mark.kind === "incomplete") {
			const line = Math.round(2 * ratio);
			this.context.fillStyle = palette.incomplete;
			this.context.fillRect(mark.left, top + height - line, mark.right - mark.left, line);
		} else {
			const alone = mark.cells === 1 && signs.hasRoom(mark.right - mark.left);
			signs.nonFinite(mark, top, height, alone ? signOf(mark.flags) : null);
		}
	}
};
/** Rows are a hair apart, or a tall block of one colour would read as one row. */
function gapDevicePx(devicePixelRatio) {
	return Math.max(1, Math.round(devicePixelRatio));
}
// src/theme.ts
var PALETTES = {
	light: {
		background: "#ffffff",
		pending: "#f1f3f5",
		hatch: "#c3c8ce",
		incomplete: "rgb(255 255 255 / 55%)"
	},
	dark: {
		background: "#1e2124",
		pending: "#282c30",
		hatch: "#4a5159",
		incomplete: "rgb(0 0 0 / 45%)"
	}
};
/** TensorBoard's document, or null where the page stands alone or in a frame of another origin. */
function hostDocument() {
	try {
		return window.parent === window ? null : window.parent.document;
	} catch {
		return null;
	}
}
/** The theme as a signal that follows TensorBoard's switch, or the system's where there is no TensorBoard around. */
function watchTheme() {
	const host = hostDocument();
	const system = window.matchMedia("(prefers-color-scheme: dark)");
	const isDark = () => host === null ? system.matches : host.body.classList.contains("dark-mode");
	const theme = y$1("light");
	const update = () => {
		theme.value = isDark() ? "dark" : "light";
		document.documentElement.dataset.theme = theme.value;
	};
	if (host === null) system.addEventListener("change", update);
	else new MutationObserver(update).observe(host.body, {
		attributes: true,
		attributeFilter: ["class"]
	});
	update();
	return theme;
}
// src/painter.ts
/** Draws the store's scene once a frame at most, and asks for the tiles that it lacks. */
var Painter = class {
	heatmap;
	store;
	theme;
	scheduled = false;
	constructor(heatmap, store, theme) {
		this.heatmap = heatmap;
		this.store = store;
		this.theme = theme;
	}
	schedule() {
		if (this.scheduled) return;
		this.scheduled = true;
		requestAnimationFrame(() => {
			this.scheduled = false;
			this.paint();
		});
	}
	paint() {
		const [scene, layer] = [this.store.scene.peek(), this.store.layer.peek()];
		if (scene === null || layer === null) return;
		const nodes = scene.nodes.subarray(...rowsInView(scene.viewport, scene.nodes.length));
		this.store.tiles.want(layer, tilesBehind(nodes, cellsInView(scene.scale, scene.grid), scene.scale.level));
		const rows = rowsOf(scene);
		if (this.store.ranges.peek()?.fromData !== true && this.mayLock(rows)) lockRange(this.store, rows, "tiles");
		const painted = this.heatmap.draw(scene, rows, this.store.tables.peek(), PALETTES[this.theme()]);
		if (!samePainted(painted, this.store.painted.peek())) this.store.painted.value = painted;
	}
	/** All that is coming has come; before, the range would depend on which tile was first. */
	mayLock(rows) {
		return (rows.every((row) => row.missing.length === 0) || this.store.tiles.idle) && rows.some((row) => row.pieces.length > 0);
	}
};
/** Fits the colour range to exactly the cells that are in view. */
function fitRange(store) {
	const scene = store.scene.peek();
	if (scene !== null) lockRange(store, rowsOf(scene), "rows");
}
/**
* The first range is that of all rows in the tiles, so that it suits the rows that unfolding brings as well; a fit is
* for the rows in view.
*/
function lockRange(store, rows, of) {
	const [scene, metric] = [store.scene.peek(), store.metric.peek()];
	if (scene !== null && metric !== null) store.ranges.value = robustRanges(metric.kind, valuesInView(scene, rows, of));
}
/** Saves the tree and the caption a rendering at each frame of a scroll. */
function samePainted(a, b) {
	return a.complete === b.complete && a.nonFiniteCells === b.nonFiniteCells && a.nonFiniteNodes.size === b.nonFiniteNodes.size && [...a.nonFiniteNodes].every((node) => b.nonFiniteNodes.has(node));
}
// src/heatmap_view.tsx
/** Safari lays canvases out in device pixels as well, but does not tell how many there are. */
var TELLS_DEVICE_PX = "devicePixelContentBoxSize" in ResizeObserverEntry.prototype;
function watchSize(element, report) {
	const observer = new ResizeObserver(([entry]) => {
		const box = TELLS_DEVICE_PX ? entry?.devicePixelContentBoxSize[0] : entry?.contentBoxSize[0];
		const perUnit = TELLS_DEVICE_PX ? 1 : window.devicePixelRatio;
		if (box === void 0 || box.inlineSize === 0 || box.blockSize === 0) return;
		report({
			widthDevicePx: Math.round(box.inlineSize * perUnit),
			heightDevicePx: Math.round(box.blockSize * perUnit),
			devicePixelRatio: window.devicePixelRatio
		});
	});
	observer.observe(element, { box: TELLS_DEVICE_PX ? "device-pixel-content-box" : "content-box" });
	return () => {
		observer.disconnect();
	};
}
function HeatmapView({ store, pointing, theme, element }) {
	const canvas = T(null);
	A$1(() => {
		if (canvas.current === null) return void 0;
		const painter = new Painter(new Heatmap(canvas.current), store, () => theme.value);
		const endings = [
			O(() => [
				store.scene.value,
				store.tables.value,
				theme.value
			]).subscribe(() => {
				painter.schedule();
			}),
			new Gestures(canvas.current, store, pointing).attach(),
			watchSize(canvas.current, (size) => store.size.value = size)
		];
		return () => {
			for (const end of endings) end();
		};
	}, [
		store,
		pointing,
		theme
	]);
	return /* @__PURE__ */ a$1("div", {
		class: "heatmap",
		ref: element,
		children: [
			/* @__PURE__ */ a$1("canvas", {
				ref: canvas,
				"data-testid": "heatmap",
				tabIndex: 0,
				role: "application",
				"aria-roledescription": "heatmap",
				"aria-label": `${`${[
					store.stream.value,
					store.metric.value,
					store.view.value
				].map((one) => one?.label ?? "").join(", ")}, by tensor and step`}. Arrow keys move from cell to cell, plus and minus zoom the steps, 0 shows the whole run.`
			}),
			/* @__PURE__ */ a$1(CellFrame, {
				rect: pointing.pointed.value?.by === "pointer" ? pointing.pointed.value.rect : null,
				kind: "hover"
			}),
			/* @__PURE__ */ a$1(CellFrame, {
				rect: pointing.cursorCell.value?.rect ?? null,
				kind: "cursor"
			})
		]
	});
}
function CellFrame({ rect, kind }) {
	if (rect === null) return null;
	const { x, y, width, height } = rect;
	return /* @__PURE__ */ a$1("div", {
		class: `cell-frame ${kind}`,
		style: {
			left: px(x),
			top: px(y),
			width: px(width),
			height: px(height)
		}
	});
}
// src/legend.tsx
var BAR_STOPS = 32;
var MOST_TICKS = 5;
/** What the colours and signs of the heatmap mean. */
function Legend({ store }) {
	const [range, metric, map] = [
		store.range.value,
		store.metric.value,
		store.colourMap.value
	];
	if (range === null || metric === null) return /* @__PURE__ */ a$1("div", {
		class: "legend",
		"data-testid": "legend"
	});
	const stops = Array.from({ length: BAR_STOPS }, (_, i) => cssColour(rampColour(map, i / 31)));
	return /* @__PURE__ */ a$1("div", {
		class: "legend",
		"data-testid": "legend",
		children: [
			range.scale === "log" && range.kind !== "signed" && /* @__PURE__ */ a$1("span", {
				class: "key",
				children: [/* @__PURE__ */ a$1("span", {
					class: "swatch",
					style: { background: cssColour(ZERO) }
				}), "0"]
			}),
			/* @__PURE__ */ a$1("span", {
				class: "ramp",
				children: [/* @__PURE__ */ a$1("span", {
					class: "bar",
					style: { background: `linear-gradient(to right, ${stops.join(", ")})` }
				}), /* @__PURE__ */ a$1(Ticks, { range })]
			}),
			/* @__PURE__ */ a$1("span", {
				class: "unit",
				children: metric.unit
			}),
			/* @__PURE__ */ a$1("button", {
				type: "button",
				"data-testid": "fit",
				title: "Fit the colours to the cells in view; until then the range stays as it is",
				onClick: () => {
					fitRange(store);
				},
				children: "Fit"
			}),
			/* @__PURE__ */ a$1("span", {
				class: "key",
				children: [/* @__PURE__ */ a$1(SignKey, { sign: "nan" }), "NaN"]
			}),
			/* @__PURE__ */ a$1("span", {
				class: "key",
				children: [
					/* @__PURE__ */ a$1(SignKey, { sign: "posInf" }),
					/* @__PURE__ */ a$1(SignKey, { sign: "negInf" }),
					"±Inf"
				]
			}),
			/* @__PURE__ */ a$1("span", {
				class: "key",
				children: [/* @__PURE__ */ a$1("span", { class: "swatch hatched" }), "no gradient"]
			})
		]
	});
}
function Ticks({ range }) {
	return /* @__PURE__ */ a$1("span", {
		class: "ticks",
		children: rangeTicks(range, MOST_TICKS).map((value) => /* @__PURE__ */ a$1("span", {
			style: { left: `${100 * position(range, value)}%` },
			children: formatValue(value, range.kind, 2)
		}, value))
	});
}
/** A non-finite cell as the heatmap draws it. */
function SignKey({ sign }) {
	return /* @__PURE__ */ a$1("svg", {
		class: "swatch",
		viewBox: "0 0 14 14",
		"aria-hidden": "true",
		children: [/* @__PURE__ */ a$1("rect", {
			width: "14",
			height: "14",
			fill: cssColour(NON_FINITE)
		}), /* @__PURE__ */ a$1("path", {
			d: SIGN_PATHS[sign],
			transform: "translate(3 3)",
			fill: "none",
			stroke: "#fff",
			"stroke-width": "1.8",
			"stroke-linecap": "round"
		})]
	});
}
// src/states.tsx
var FIRST_LINES = [
	"from tb_gradhealth import GradHealthWriter",
	"optimizer = GradHealthWriter(optimizer, model, logdir=\"runs/exp1\")",
	"tensorboard --logdir runs"
];
/** The page where there is no heatmap to show: what is the matter, and what to do. */
function Message({ store }) {
	const run = store.run.value;
	switch (store.screen.value) {
		case "loading": return /* @__PURE__ */ a$1("div", {
			class: "message",
			role: "status",
			children: /* @__PURE__ */ a$1("p", {
				class: "quiet",
				children: "Loading…"
			})
		});
		case "empty": return /* @__PURE__ */ a$1(Empty, {});
		case "missing": return /* @__PURE__ */ a$1(Sorry, {
			title: "This run is gone",
			text: "TensorBoard does not list it any more. Choose another run above, or put its files back."
		});
		case "none": return /* @__PURE__ */ a$1(Sorry, {
			title: "No Grad Health data in this run",
			text: "Choose another run above, or train this one with a GradHealthWriter around its optimizer."
		});
		case "waiting": return /* @__PURE__ */ a$1(Sorry, {
			title: "Waiting for the first row",
			text: run?.problem ?? "The run has begun; the heatmap appears here as soon as its first steps are written."
		});
		case "unreadable": return /* @__PURE__ */ a$1(Sorry, {
			title: "This run cannot be read",
			text: run?.problem ?? "TensorBoard gave no reason; see its terminal."
		});
		case "refused": return /* @__PURE__ */ a$1(Sorry, {
			title: "This run cannot be shown",
			text: store.refusal.value ?? ""
		});
		case "heatmap": return null;
	}
}
function Sorry({ title, text }) {
	return /* @__PURE__ */ a$1("div", {
		class: "message",
		role: "status",
		"data-testid": "message",
		children: [/* @__PURE__ */ a$1("h1", { children: title }), /* @__PURE__ */ a$1("p", { children: /* @__PURE__ */ a$1("bdi", { children: text }) })]
	});
}
function Empty() {
	const code = T(null);
	const [said, setSaid] = d$2("");
	const copy = async () => {
		try {
			await navigator.clipboard.writeText(FIRST_LINES.join("\n"));
			setSaid("Copied");
		} catch {
			if (code.current !== null) window.getSelection()?.selectAllChildren(code.current);
			setSaid("Selected: press Ctrl+C");
		}
	};
	return /* @__PURE__ */ a$1("div", {
		class: "message",
		"data-testid": "empty-state",
		children: [
			/* @__PURE__ */ a$1("h1", { children: "No Grad Health data yet" }),
			/* @__PURE__ */ a$1("p", { children: "Wrap the optimizer of a training loop, train, and point TensorBoard at the same folder:" }),
			/* @__PURE__ */ a$1("pre", {
				ref: code,
				children: FIRST_LINES.join("\n")
			}),
			/* @__PURE__ */ a$1("p", { children: [
				/* @__PURE__ */ a$1("button", {
					type: "button",
					class: "primary",
					"data-testid": "copy",
					onClick: () => void copy(),
					children: "Copy"
				}),
				" ",
				/* @__PURE__ */ a$1("span", {
					role: "status",
					children: said
				})
			] }),
			/* @__PURE__ */ a$1("p", {
				class: "quiet",
				children: "This page looks again every few seconds."
			})
		]
	});
}
/** What to know beside the picture: an outage, a refusal, a run that is partly damaged or there in overview only. */
function Notices({ store }) {
	const [connection, screen] = [store.connection.value, store.screen.value];
	const problem = screen === "heatmap" ? store.meta.value?.problem ?? store.run.value?.problem : null;
	return /* @__PURE__ */ a$1("div", {
		class: "notices",
		role: "status",
		"aria-live": "polite",
		children: [
			connection === "gone" && /* @__PURE__ */ a$1("div", {
				class: "notice warning",
				"data-testid": "notice",
				children: [
					"TensorBoard does not answer; trying again.",
					" ",
					screen === "heatmap" && "The picture is the last one received."
				]
			}),
			connection === "back" && /* @__PURE__ */ a$1("div", {
				class: "notice good",
				"data-testid": "notice",
				children: "TensorBoard answers again."
			}),
			problem != null && /* @__PURE__ */ a$1("div", {
				class: "notice warning",
				"data-testid": "notice",
				children: /* @__PURE__ */ a$1("bdi", { children: problem })
			}),
			screen === "heatmap" && store.meta.value?.overview === true && /* @__PURE__ */ a$1("div", {
				class: "notice",
				"data-testid": "notice",
				children: "Overview only: this run’s archive is not to be had here, or has been cut to its newest rows, so some steps show as part of a longer interval. No spike is lost in it."
			}),
			screen === "heatmap" && store.refusal.value !== null && /* @__PURE__ */ a$1("div", {
				class: "notice warning",
				"data-testid": "notice",
				children: /* @__PURE__ */ a$1("bdi", { children: store.refusal.value })
			})
		]
	});
}
// src/marks.ts
/** The first of these that a cluster has is drawn; a session's line is drawn besides. */
var NOTE_LOOKS = [
	"diverged",
	"skipped",
	"not_stepped",
	"other"
];
var SESSION_LOOKS = ["rewind", "resume"];
/** Closer than this, a click shows fewer cells than one can make sense of. */
var CELLS_AROUND = 16;
function lookOf(kind) {
	return NOTE_LOOKS.find((look) => look === kind) ?? "other";
}
/** All marks in the order of steps: a note of a step stands in its middle, what came before the step at its begin. */
function marksOf(sessions, notes) {
	const marks = notes.map((note) => {
		const look = lookOf(note.kind);
		return {
			look,
			note,
			at: look === "not_stepped" ? note.step : note.step + .5
		};
	});
	sessions.forEach((session, i) => {
		const before = sessions[i - 1];
		if (before === void 0) return;
		marks.push({
			look: session.start < before.stop ? "rewind" : "resume",
			at: session.start,
			session,
			before
		});
	});
	return marks.sort((a, b) => a.at - b.at);
}
/**
* Marks within `gapCssPx` of a cluster's first one share it. All of the run's are clustered, in view or not, so that
* panning does not regroup them; the work grows with the marks, the result with the pixels.
*/
function clustersOf(marks, cssPxPerStep, gapCssPx) {
	const clusters = [];
	let first = 0;
	marks.forEach((mark, i) => {
		const start = marks[first] ?? mark;
		if ((mark.at - start.at) * cssPxPerStep < gapCssPx) return;
		clusters.push({
			at: start.at,
			marks: marks.slice(first, i)
		});
		first = i;
	});
	const start = marks[first];
	if (start !== void 0) clusters.push({
		at: start.at,
		marks: marks.slice(first)
	});
	return clusters;
}
/** What to draw of a cluster: its gravest note, and its gravest change of session. */
function looksOf({ marks }) {
	const present = new Set(marks.map((mark) => mark.look));
	return [SESSION_LOOKS, NOTE_LOOKS].flatMap((looks) => looks.filter((look) => present.has(look)).slice(0, 1));
}
/** The steps to show of a cluster on a click: all its marks and something around, never more than is shown now. */
function windowAround({ marks }, cell, shown) {
	const [first, last] = [marks[0]?.at ?? 0, marks.at(-1)?.at ?? 0];
	const span = Math.max(1.5 * (last - first), Math.min(CELLS_AROUND * cell, shown.end - shown.start));
	return {
		start: (first + last - span) / 2,
		end: (first + last + span) / 2
	};
}
// src/sentences.ts
var MOST_TENSORS = 4;
var MOST_SENTENCES = 6;
var NAME_CHARACTERS$1 = 80;
/** What happened, in plain words. Names come from files: the sentence is text, never markup. */
function sentenceOf(mark) {
	return "note" in mark ? noteSentence(mark.note) : sessionSentence(mark.session, mark.before);
}
/** A sentence for each of the first marks, and how many more there are. */
function sentencesOf(marks) {
	const shown = marks.length > MOST_SENTENCES ? marks.slice(0, 5) : marks;
	const more = marks.length - shown.length;
	return [...shown.map(sentenceOf), ...more > 0 ? [`and ${formatCount(more)} more: click to zoom in`] : []];
}
function noteSentence(note) {
	const value = (name) => note.values.get(name);
	const step = `Step ${formatCount(note.step)}`;
	switch (note.kind) {
		case "skipped": {
			const scale = value("loss_scale");
			return `${step}: skipped by the GradScaler${scale === void 0 ? "" : ` at loss scale ${formatAmount(scale)}`}${nonFinite(note)}`;
		}
		case "not_stepped": {
			const norm = value("norm");
			return `${step}: gradients dropped by zero_grad without a step${norm === void 0 ? "" : ` (norm ${formatAmount(norm)})`}${nonFinite(note)}`;
		}
		case "diverged": {
			const tensors = listed(note, (fault) => shortened(fault.name, NAME_CHARACTERS$1));
			return `${step}: copies differ between ranks${tensors === "" ? "" : `: ${tensors}`}`;
		}
		case "omitted": return `From step ${formatCount(note.step)} on: ${furtherNotes(value("count") ?? 0)} found no room in the file`;
		default: {
			const words = [...note.values].slice(0, MOST_TENSORS).map(([name, figure]) => `${shortened(name, NAME_CHARACTERS$1)} ${formatAmount(figure)}`);
			return `${step}: ${shortened(note.kind, NAME_CHARACTERS$1)}${words.length > 0 ? ` (${words.join(", ")})` : ""}${nonFinite(note)}`;
		}
	}
}
function furtherNotes(count) {
	return `${formatAmount(count)} further ${count === 1 ? "note" : "notes"}`;
}
function nonFinite(note) {
	const tensors = listed(note, (fault) => `${shortened(fault.name, NAME_CHARACTERS$1)}${countsOf(fault)}`);
	return tensors === "" ? "" : `. Non-finite: ${tensors}`;
}
function countsOf({ nan, pos_inf, neg_inf }) {
	const counts = [
		nan > 0 ? `NaN ${formatCount(nan)}` : "",
		pos_inf > 0 ? `+Inf ${formatCount(pos_inf)}` : "",
		neg_inf > 0 ? `-Inf ${formatCount(neg_inf)}` : ""
	].filter((count) => count !== "");
	return counts.length > 0 ? ` (${counts.join(", ")})` : "";
}
/** The first tensors of a note, and how many more it is about. */
function listed({ tensors, more }, words) {
	const shown = tensors.slice(0, MOST_TENSORS).map(words).join(", ");
	const rest = tensors.length - Math.min(tensors.length, MOST_TENSORS) + more;
	if (rest === 0) return shown;
	return shown === "" ? plural(rest, "tensor") : `${shown} and ${formatCount(rest)} more`;
}
function sessionSentence(session, before) {
	const moment = formatMoment(session.wall_time);
	const when = moment === null ? "" : ` (session of ${moment})`;
	const start = formatCount(session.start);
	if (session.start >= before.stop) return `A new session took over at step ${start}${when}`;
	return `Steps from ${start} on were recorded again: the run went back from step ${formatCount(before.stop)}${when}`;
}
var SUMMARY = [
	[
		"diverged",
		"divergence between ranks",
		"divergences between ranks"
	],
	[
		"skipped",
		"skipped step",
		"skipped steps"
	],
	[
		"rewind",
		"rewind",
		"rewinds"
	],
	[
		"resume",
		"resume",
		"resumes"
	],
	[
		"not_stepped",
		"set of gradients dropped",
		"sets of gradients dropped"
	],
	[
		"other",
		"other note",
		"other notes"
	]
];
/** All marks in a few words; notes that found no room in the file are counted as such. */
function summaryOf(marks, complete) {
	let omitted = 0;
	const counts = /* @__PURE__ */ new Map();
	for (const mark of marks) if ("note" in mark && mark.note.kind === "omitted") omitted += mark.note.values.get("count") ?? 0;
	else counts.set(mark.look, (counts.get(mark.look) ?? 0) + 1);
	const parts = SUMMARY.flatMap(([look, one, many]) => {
		const count = counts.get(look) ?? 0;
		return count === 0 ? [] : [plural(count, one, many)];
	});
	if (omitted > 0) parts.push(furtherNotes(omitted));
	return `${parts.join(", ")}${complete ? "" : " and more"}`;
}
// src/strip.tsx
/** Marks have at least this much room, which is their width. */
var MARK_CSS_PX = 12;
var GAP_CSS_PX$1 = 8;
var SHAPES = {
	diverged: "M6 2 L11 8 L6 14 L1 8 Z",
	skipped: "M6 3 L11.5 13 H0.5 Z",
	not_stepped: "M10 8 A4 4 0 1 1 2 8 A4 4 0 1 1 10 8 Z",
	other: "M2 4 H10 V12 H2 Z",
	rewind: "M6 0 V16 M6 8 H-2 M2 4 L-2 8 L2 12",
	resume: "M6 0 V16"
};
/** What happened at single steps, above the heatmap's columns; one stop for the Tab key, arrows go from mark to mark. */
function Strip({ store }) {
	const strip = T(null);
	const [shown, setShown] = d$2(null);
	const [entry, setEntry] = d$2(null);
	const marks = store.marks.value;
	const summary = summaryOf(marks, store.notes.value?.complete ?? true);
	const places = placesInView(store);
	const entered = places.find(({ cluster }) => cluster.at === entry) ?? places[0];
	const told = places.find(({ cluster }) => cluster.at === shown);
	return /* @__PURE__ */ a$1($, { children: [
		/* @__PURE__ */ a$1("div", {
			class: "strip-head",
			"data-testid": "strip-summary",
			title: summary,
			children: summary
		}),
		/* @__PURE__ */ a$1("div", {
			class: "strip",
			"data-testid": "strip",
			role: "group",
			"aria-label": summary,
			ref: strip,
			children: places.map(({ cluster, cssX }) => /* @__PURE__ */ a$1("button", {
				type: "button",
				class: "mark",
				"data-testid": "mark",
				"data-looks": looksOf(cluster).join(" "),
				style: { left: px(cssX) },
				tabIndex: cluster === entered?.cluster ? 0 : -1,
				"aria-label": sentencesOf(cluster.marks).join(". "),
				onPointerEnter: () => {
					setShown(cluster.at);
				},
				onPointerLeave: () => {
					setShown(null);
				},
				onFocus: (event) => {
					setEntry(cluster.at);
					if (event.currentTarget.matches(":focus-visible")) setShown(cluster.at);
				},
				onBlur: () => {
					setShown(null);
				},
				onKeyDown: (event) => {
					if (event.key === "Escape") setShown(null);
					if (step(event.currentTarget, event.key)) event.preventDefault();
				},
				onClick: () => {
					zoomInto(store, cluster);
				},
				children: /* @__PURE__ */ a$1(Shapes, { looks: looksOf(cluster) })
			}, cluster.at))
		}),
		told !== void 0 && /* @__PURE__ */ a$1("div", {
			class: "tooltip",
			"data-testid": "strip-tooltip",
			role: "tooltip",
			style: besides(strip.current, told.cssX),
			children: sentencesOf(told.cluster.marks).map((sentence, i) => /* @__PURE__ */ a$1("div", {
				class: "sentence",
				children: /* @__PURE__ */ a$1("bdi", { children: sentence })
			}, i))
		})
	] });
}
function placesInView(store) {
	const [scale, viewport] = [store.scale.value, store.viewport.value];
	if (scale === null) return [];
	const widthCssPx = viewport.widthDevicePx / viewport.devicePixelRatio;
	return clustersOf(store.marks.value, widthCssPx / (scale.end - scale.start), MARK_CSS_PX).map((cluster) => ({
		cluster,
		cssX: stepCssX(viewport, scale, cluster.at)
	})).filter(({ cssX }) => cssX >= -12 && cssX <= widthCssPx + MARK_CSS_PX);
}
function Shapes({ looks }) {
	return /* @__PURE__ */ a$1("svg", {
		viewBox: "0 0 12 16",
		width: "12",
		height: "16",
		"aria-hidden": "true",
		children: looks.map((look, i) => /* @__PURE__ */ a$1("path", {
			class: look,
			d: SHAPES[look],
			transform: i === 0 ? void 0 : "translate(8 0)"
		}, look))
	});
}
function zoomInto(store, cluster) {
	const [scale, grid] = [store.scale.peek(), store.grid.peek()];
	if (scale !== null && grid !== null) store.zoomTo(windowAround(cluster, grid.cell, scale));
}
/** Moves the focus from mark to mark; whether the key meant that. */
function step(mark, key) {
	const all = [...mark.parentElement?.children ?? []];
	const targets = {
		ArrowLeft: mark.previousElementSibling,
		ArrowRight: mark.nextElementSibling,
		Home: all[0],
		End: all.at(-1)
	};
	if (!(key in targets)) return false;
	const target = targets[key];
	if (target instanceof HTMLElement) target.focus();
	return true;
}
/** Below the strip, in the direction in which the page has more room. */
function besides(strip, cssX) {
	const box = strip?.getBoundingClientRect() ?? {
		x: 0,
		bottom: 0
	};
	const [x, width] = [box.x + cssX, window.innerWidth];
	return {
		...x < width / 2 ? { left: px(x + GAP_CSS_PX$1) } : { right: px(width - x + GAP_CSS_PX$1) },
		top: px(box.bottom + GAP_CSS_PX$1)
	};
}
// src/toolbar.tsx
/** With more runs than this, finding one by eye takes longer than typing a part of its name. */
var RUNS_WITHOUT_FILTER = 8;
/** A select grows with its longest option. */
var LABEL_CHARACTERS = 60;
var GROUPS = [
	{
		status: "ok",
		label: "Grad Health runs",
		suffix: ""
	},
	{
		status: "waiting",
		label: "Waiting for the first row",
		suffix: " (waiting)"
	},
	{
		status: "unreadable",
		label: "Cannot be read",
		suffix: " (unreadable)"
	},
	{
		status: "none",
		label: "No Grad Health data",
		suffix: " (no data)"
	}
];
function Toolbar({ store }) {
	const [meta, metric] = [store.meta.value, store.metric.value];
	const shown = store.screen.value === "heatmap" && meta !== null && metric !== null;
	return /* @__PURE__ */ a$1("div", {
		class: "toolbar",
		role: "group",
		"aria-label": "What the heatmap shows",
		children: [/* @__PURE__ */ a$1(RunPicker, { store }), shown && /* @__PURE__ */ a$1($, { children: [
			meta.streams.length > 1 && /* @__PURE__ */ a$1(Choice, {
				label: "Stream",
				testId: "stream",
				options: meta.streams,
				value: store.stream.value?.name ?? "",
				choose: (name) => {
					store.chooseStream(name);
				}
			}),
			/* @__PURE__ */ a$1(Choice, {
				label: "Metric",
				testId: "metric",
				options: meta.metrics.map(({ name, label, meaning }) => ({
					name,
					label,
					title: meaning
				})),
				value: metric.name,
				title: metric.meaning,
				choose: (name) => {
					store.chooseMetric(name);
				}
			}),
			/* @__PURE__ */ a$1(Choice, {
				label: "Show",
				testId: "view",
				options: meta.views,
				value: store.view.value?.name ?? "",
				choose: (name) => {
					store.chooseView(name);
				}
			}),
			/* @__PURE__ */ a$1(ScaleSwitch, { store }),
			/* @__PURE__ */ a$1(Choice, {
				label: "Colours",
				testId: "colours",
				options: COLOUR_MAPS_OF[colourFamily(metric.kind)],
				value: store.colourMap.value,
				choose: (name) => {
					store.chooseColourMap(name);
				}
			})
		] })]
	});
}
function Choice({ label, testId, options, value, title, choose }) {
	return /* @__PURE__ */ a$1("label", {
		class: "field",
		title,
		children: [/* @__PURE__ */ a$1("span", { children: label }), /* @__PURE__ */ a$1("select", {
			"data-testid": testId,
			value,
			onChange: chosen$1(choose),
			children: options.map((option) => /* @__PURE__ */ a$1("option", {
				value: option.name,
				selected: option.name === value,
				title: option.title,
				children: shortened(option.label, LABEL_CHARACTERS)
			}, option.name))
		})]
	});
}
function chosen$1(choose) {
	return (event) => {
		choose(event.currentTarget.value);
	};
}
function ScaleSwitch({ store }) {
	return /* @__PURE__ */ a$1("div", {
		class: "field",
		role: "radiogroup",
		"aria-label": "Colour scale",
		"data-testid": "scale",
		children: [/* @__PURE__ */ a$1("span", {
			"aria-hidden": "true",
			children: "Scale"
		}), /* @__PURE__ */ a$1("span", {
			class: "segments",
			children: ["log", "linear"].map((name) => /* @__PURE__ */ a$1("label", { children: [/* @__PURE__ */ a$1("input", {
				type: "radio",
				name: "scale",
				value: name,
				checked: store.scaleName.value === name,
				onChange: () => {
					store.chooseScale(name);
				}
			}), /* @__PURE__ */ a$1("span", { children: name })] }, name))
		})]
	});
}
function RunPicker({ store }) {
	const [filter, setFilter] = d$2("");
	const [runs, selected] = [store.runs.value ?? [], store.runName.value ?? ""];
	if (runs.length === 0) return null;
	const wanted = filter.trim().toLowerCase();
	const matches = runs.filter((run) => run.name === selected || run.label.toLowerCase().includes(wanted));
	return /* @__PURE__ */ a$1("span", {
		class: "field",
		children: [/* @__PURE__ */ a$1("label", {
			class: "field",
			children: [/* @__PURE__ */ a$1("span", { children: "Run" }), /* @__PURE__ */ a$1("select", {
				class: "run-picker",
				"data-testid": "run-picker",
				value: selected,
				title: selected.slice(0, 500),
				onChange: chosen$1((name) => {
					store.chooseRun(name);
				}),
				children: [store.run.value === null && /* @__PURE__ */ a$1("option", {
					value: selected,
					children: [shortened(selected, LABEL_CHARACTERS), " (gone)"]
				}), GROUPS.map((group) => /* @__PURE__ */ a$1(RunGroup, {
					...group,
					runs: matches.filter((run) => run.status === group.status),
					selected
				}, group.status))]
			})]
		}), runs.length > RUNS_WITHOUT_FILTER && /* @__PURE__ */ a$1("input", {
			type: "search",
			class: "run-filter",
			"data-testid": "run-filter",
			placeholder: "Filter runs",
			"aria-label": "Filter runs",
			value: filter,
			onInput: (event) => {
				setFilter(event.currentTarget.value);
			}
		})]
	});
}
function RunGroup({ label, suffix, runs, selected }) {
	if (runs.length === 0) return null;
	return /* @__PURE__ */ a$1("optgroup", {
		label,
		children: runs.map((run) => /* @__PURE__ */ a$1("option", {
			value: run.name,
			selected: run.name === selected,
			children: shortened(run.label, LABEL_CHARACTERS) + suffix
		}, run.name))
	});
}
// src/tooltip.tsx
var GAP_CSS_PX = 14;
var MOST_ALIASES = 4;
var NAME_CHARACTERS = 80;
/** A screen reader hears of the cell where the cursor has come to rest, not of those on the way. */
var READ_OUT_MS = 400;
/** What is known of the cell under the pointer or the cursor: the tile's value at once, exact figures a moment later. */
function Tooltip({ store, pointing, figures, heatmap }) {
	const pointed = pointing.pointed.value;
	const key = pointed === null ? "" : [
		pointed.node,
		pointed.level,
		pointed.index
	].join();
	const [layer, revision] = [store.layer.value, store.meta.value?.revision];
	A$1(() => {
		figures.ask(pointing.pointed.peek());
	}, [
		key,
		layer,
		revision,
		figures,
		pointing
	]);
	return /* @__PURE__ */ a$1($, { children: [pointed !== null && /* @__PURE__ */ a$1("div", {
		class: "tooltip",
		"data-testid": "tooltip",
		role: "tooltip",
		style: placeOf(store, pointed, heatmap.current),
		children: /* @__PURE__ */ a$1(Contents, {
			store,
			pointing,
			pointed,
			exact: figures.of(pointed)
		})
	}), /* @__PURE__ */ a$1(ReadOut, {
		store,
		pointing,
		figures
	})] });
}
/** Beside the pointer or the cursor's cell, in the direction in which the page has more room. */
function placeOf(store, pointed, heatmap) {
	const origin = heatmap?.getBoundingClientRect() ?? {
		x: 0,
		y: 0
	};
	const pointer = store.pointer.value;
	const { rect } = pointed;
	const x = origin.x + (pointer?.cssX ?? rect.x + rect.width / 2);
	const y = origin.y + (pointer?.cssY ?? rect.y + rect.height / 2);
	const [width, height] = [window.innerWidth, window.innerHeight];
	return {
		...x < width / 2 ? { left: px(x + GAP_CSS_PX) } : { right: px(width - x + GAP_CSS_PX) },
		...y < height / 2 ? { top: px(y + GAP_CSS_PX) } : { bottom: px(height - y + GAP_CSS_PX) }
	};
}
function Contents({ store, pointing, pointed, exact }) {
	const [meta, metric, view] = [
		store.meta.value,
		store.metric.value,
		store.view.value
	];
	const shown = pointing.shownValue(pointed);
	if (meta === null || metric === null || view === null) return null;
	const kind = meta.nodes.kind[pointed.node] ?? "tensor";
	return /* @__PURE__ */ a$1($, { children: [
		/* @__PURE__ */ a$1("bdi", {
			class: "path",
			children: pointing.pathOf(pointed.node)
		}),
		/* @__PURE__ */ a$1("div", {
			class: "about",
			children: aboutNode(store, pointed.node)
		}),
		/* @__PURE__ */ a$1(Aliases, { names: meta.nodes.aliases[pointed.node] ?? [] }),
		/* @__PURE__ */ a$1("div", { children: stepsText(store, pointed, exact) }),
		/* @__PURE__ */ a$1("div", {
			class: "headline",
			children: [
				/* @__PURE__ */ a$1(StreamLabel, { store }),
				metric.label,
				", ",
				view.label,
				": ",
				/* @__PURE__ */ a$1("b", { children: valueText(metric, view.name, shown, exact) })
			]
		}),
		shown !== null && /* @__PURE__ */ a$1(Findings, { flags: shown.flags }),
		exact !== null && /* @__PURE__ */ a$1(Exact, {
			exact,
			metric,
			isTensor: kind === "tensor",
			pathOf: (node) => pointing.pathOf(node)
		})
	] });
}
/** The exact figure once it is here; until then the tile's, which has only 8 bits. */
function valueText(metric, view, shown, exact) {
	const figure = { ...exact?.metrics.get(metric.name) }[view];
	if (typeof figure === "number") return formatValue(figure, metric.kind);
	if (shown === null) return "loading";
	return (Number.isFinite(shown.value) && shown.value !== 0 ? "≈ " : "") + formatValue(shown.value, metric.kind, 3);
}
function aboutNode(store, node) {
	const nodes = store.meta.value?.nodes;
	const shape = nodes?.shape[node] ?? null;
	return [
		shape === null ? nodes?.kind[node] ?? "" : `[${shape.join(", ")}]`,
		nodes?.dtype[node] ?? "",
		plural(nodes?.size[node] ?? 0, "element")
	].filter((part) => part !== "").join(" · ");
}
function Aliases({ names }) {
	if (names.length === 0) return null;
	const shown = names.slice(0, MOST_ALIASES).map((name) => shortened(name, NAME_CHARACTERS));
	const more = names.length - shown.length;
	return /* @__PURE__ */ a$1("div", {
		class: "about",
		"data-testid": "aliases",
		children: [
			"also ",
			/* @__PURE__ */ a$1("bdi", { children: shown.join(", ") }),
			more > 0 && ` and ${formatCount(more)} more`
		]
	});
}
/** Figures before and after clipping differ: where there are both, each says which it is. */
function StreamLabel({ store }) {
	if ((store.meta.value?.streams.length ?? 0) < 2) return null;
	return /* @__PURE__ */ a$1("div", {
		class: "about",
		children: /* @__PURE__ */ a$1("bdi", { children: store.stream.value?.label })
	});
}
function stepsText(store, { index, level }, exact) {
	const grid = store.grid.value;
	const size = (grid?.cell ?? 1) * 2 ** level;
	const [first, end] = grid?.steps ?? [0, 0];
	return formatSteps(...exact?.steps ?? [Math.max(first, index * size), Math.min(end, (index + 1) * size)]);
}
/** The flags in words; counts follow with the exact figures. */
function findingsOf(flags) {
	const signs = [
		(flags & 1) !== 0 ? "NaN" : "",
		(flags & 2) !== 0 ? "+Inf" : "",
		(flags & 4) !== 0 ? "-Inf" : ""
	].filter((sign) => sign !== "");
	return [
		signs.length > 0 ? `${signs.join(", ")} in these steps` : "",
		(flags & 8) !== 0 ? "no gradient in some or all steps" : "",
		(flags & 16) !== 0 ? "still being recorded" : ""
	].filter((finding) => finding !== "");
}
function Findings({ flags }) {
	const bad = (flags & 7) !== 0;
	return findingsOf(flags).map((finding, i) => /* @__PURE__ */ a$1("div", {
		class: bad && i === 0 ? "finding bad" : "finding",
		children: finding
	}, finding));
}
function Exact({ exact, metric, isTensor, pathOf }) {
	const figures = exact.metrics.get(metric.name);
	const count = (name) => exact.counts.get(name) ?? 0;
	const value = (figure) => formatValue(figure ?? NaN, metric.kind);
	const bad = count("nan") + count("pos_inf") + count("neg_inf") > 0;
	return /* @__PURE__ */ a$1("dl", { children: [
		/* @__PURE__ */ a$1("dt", { children: "mean · min · max" }),
		/* @__PURE__ */ a$1("dd", { children: [
			value(figures?.mean),
			" · ",
			value(figures?.min),
			" · ",
			value(figures?.max)
		] }),
		!isTensor && figures?.worst_node != null && /* @__PURE__ */ a$1($, { children: [/* @__PURE__ */ a$1("dt", { children: "worst tensor inside" }), /* @__PURE__ */ a$1("dd", { children: [
			value(figures.worst),
			" in ",
			/* @__PURE__ */ a$1("bdi", { children: pathOf(figures.worst_node) }),
			figures.worst_steps !== null && `, ${formatSteps(...figures.worst_steps)}`
		] })] }),
		/* @__PURE__ */ a$1("dt", { children: "NaN · +Inf · -Inf" }),
		/* @__PURE__ */ a$1("dd", {
			class: bad ? "bad" : "",
			children: [
				formatCount(count("nan")),
				" · ",
				formatCount(count("pos_inf")),
				" · ",
				formatCount(count("neg_inf")),
				exact.first_bad !== null && `, first at step ${formatCount(exact.first_bad)}`
			]
		}),
		/* @__PURE__ */ a$1("dt", { children: "zero · near zero · saturated" }),
		/* @__PURE__ */ a$1("dd", { children: [
			formatCount(count("zero")),
			" · ",
			formatCount(count("near_zero")),
			" · ",
			formatCount(count("saturated")),
			" ",
			"of ",
			formatCount(count("count"))
		] }),
		/* @__PURE__ */ a$1("dt", { children: "with gradient" }),
		/* @__PURE__ */ a$1("dd", { children: [
			"in ",
			formatCount(exact.with_data),
			" of ",
			plural(exact.recorded, "step")
		] })
	] });
}
function ReadOut({ store, pointing, figures }) {
	const [text, setText] = d$2("");
	const cell = pointing.pointed.value;
	const spoken = cell?.by === "cursor" ? sentence(store, pointing, cell, figures.of(cell)) : "";
	A$1(() => {
		const timer = setTimeout(() => {
			setText(spoken);
		}, READ_OUT_MS);
		return () => {
			clearTimeout(timer);
		};
	}, [spoken]);
	return /* @__PURE__ */ a$1("div", {
		class: "visually-hidden",
		role: "status",
		"aria-live": "polite",
		"data-testid": "read-out",
		children: text
	});
}
function sentence(store, pointing, cell, exact) {
	const [metric, view, shown] = [
		store.metric.value,
		store.view.value,
		pointing.shownValue(cell)
	];
	if (metric === null || view === null) return "";
	return [
		`${pointing.pathOf(cell.node)}, ${stepsText(store, cell, exact)}`,
		`${store.stream.value?.label ?? ""}, ${metric.label}, ${view.label}: ${valueText(metric, view.name, shown, exact)}`,
		...findingsOf(shown?.flags ?? 0),
		exact?.first_bad == null ? "" : `first NaN or Inf at step ${formatCount(exact.first_bad)}`
	].filter((part) => part !== "").join(". ");
}
// src/model.ts
/** Rows that an unfolded small model, or the first look at a large one, may take. */
var FIRST_LOOK_ROWS = 40;
function buildTree(nodes) {
	const size = nodes.name.length;
	const parents = new Int32Array(size);
	const depths = new Int32Array(size);
	const counts = new Int32Array(size + 1);
	for (let i = 0; i < size; i++) {
		const parent = nodes.parent[i] ?? -1;
		parents[i] = i === 0 ? -1 : parent >= 0 && parent < i ? parent : 0;
		if (i === 0) continue;
		depths[i] = at(depths, at(parents, i)) + 1;
		counts[at(parents, i) + 1] = at(counts, at(parents, i) + 1) + 1;
	}
	for (let i = 0; i < size; i++) counts[i + 1] = at(counts, i + 1) + at(counts, i);
	const firstChild = counts.slice();
	const children = new Int32Array(Math.max(0, size - 1));
	const places = new Int32Array(size);
	for (let i = 1; i < size; i++) {
		const parent = at(parents, i);
		children[at(counts, parent)] = i;
		places[i] = at(counts, parent) - at(firstChild, parent);
		counts[parent] = at(counts, parent) + 1;
	}
	const keys = nodes.name.map((name, i) => `${nodes.kind[i] ?? ""}:${name}`);
	return {
		size,
		names: nodes.name,
		kinds: nodes.kind,
		parents,
		depths,
		firstChild,
		children,
		places,
		keys
	};
}
function at(column, index) {
	return column[index] ?? 0;
}
function parentOf(tree, node) {
	return tree.parents[node] ?? -1;
}
function depthOf(tree, node) {
	return at(tree.depths, node);
}
function childrenOf(tree, node) {
	return tree.children.subarray(at(tree.firstChild, node), at(tree.firstChild, node + 1));
}
function hasChildren(tree, node) {
	return at(tree.firstChild, node + 1) > at(tree.firstChild, node);
}
/** The part of a node's dotted path that its parent's row does not show already. */
function shortName(tree, node) {
	const name = tree.names[node] ?? "";
	if (node === 0) return name === "" ? "All tensors" : name;
	const above = tree.names[parentOf(tree, node)] ?? "";
	const rest = above !== "" && name.startsWith(above + ".") ? name.slice(above.length + 1) : name;
	return rest === "" ? "(no name)" : rest;
}
function fullName(tree, node) {
	const name = tree.names[node] ?? "";
	return name === "" ? shortName(tree, node) : name;
}
/** Nodes that have a row: those whose ancestors are all open, depth first. */
function visibleNodes(tree, open) {
	const rows = new Int32Array(tree.size);
	let count = 0;
	const pending = tree.size > 0 ? [0] : [];
	for (let node = pending.pop(); node !== void 0; node = pending.pop()) {
		rows[count++] = node;
		if (!open.has(tree.keys[node] ?? "")) continue;
		const children = childrenOf(tree, node);
		for (let i = children.length - 1; i >= 0; i--) pending.push(at(children, i));
	}
	return rows.subarray(0, count);
}
function openAll(tree) {
	return new Set(tree.keys.filter((_, node) => hasChildren(tree, node)));
}
/** Folded back to the whole stream and what is directly in it. */
function openTop(tree) {
	return new Set(tree.keys.slice(0, 1));
}
/** Unfolds level after level while the rows fit a first look; a small model is unfolded entirely. */
function openFirstLook(tree) {
	const rowsAtDepth = [];
	for (let node = 0; node < tree.size; node++) {
		const depth = depthOf(tree, node);
		rowsAtDepth[depth] = (rowsAtDepth[depth] ?? 0) + 1;
	}
	let rows = (rowsAtDepth[0] ?? 0) + (rowsAtDepth[1] ?? 0);
	let depth = 1;
	while (depth < rowsAtDepth.length && rows + (rowsAtDepth[depth + 1] ?? 0) <= FIRST_LOOK_ROWS) rows += rowsAtDepth[++depth] ?? 0;
	return new Set(tree.keys.filter((_, node) => depthOf(tree, node) < depth && hasChildren(tree, node)));
}
function withFolded(open, key) {
	const next = new Set(open);
	next.delete(key);
	return next;
}
function withUnfolded(open, keys) {
	return /* @__PURE__ */ new Set([...open, ...keys]);
}
/** Whether two trees have the same nodes at the same indices, so that tiles of one are tiles of the other. */
function sameNodes(a, b) {
	return a.size === b.size && a.keys.every((key, node) => key === b.keys[node]) && a.parents.every((parent, node) => parent === b.parents[node]);
}
// src/tree.tsx
var INDENT_CSS_PX = 14;
/** Deeper rows are indented no further, or their names would have no room left. */
var MOST_INDENTS = 9;
/** Longest text of a browser's own tooltip. */
var TITLE_CHARACTERS = 500;
/** The module tree; it renders the rows in view alone, at the same heights as the heatmap's. */
function TreeView({ store, pointing }) {
	const element = T(null);
	const [tree, nodes, viewport] = [
		store.tree.value,
		store.nodes.value,
		store.viewport.value
	];
	const activeRow = tree === null ? 0 : activeRowOf(tree, nodes, store.activeKey.value);
	F$1(() => {
		const host = element.current;
		if (host?.contains(document.activeElement) === true) host.querySelector("[tabindex=\"0\"]")?.focus({ preventScroll: true });
	});
	if (tree === null) return null;
	const [first, end] = rowsInView(viewport, nodes.length);
	const rows = Array.from({ length: end - first }, (_, i) => first + i);
	if (activeRow < first) rows.unshift(activeRow);
	if (activeRow >= end) rows.push(activeRow);
	return /* @__PURE__ */ a$1("div", {
		ref: element,
		class: "tree",
		role: "tree",
		"aria-label": "Modules and tensors",
		"data-testid": "tree",
		onKeyDown: (event) => {
			if (treeKey(store, pointing, tree, activeRow, event.key)) event.preventDefault();
		},
		children: rows.map((row) => /* @__PURE__ */ a$1(TreeRow, {
			store,
			tree,
			node: nodes[row] ?? 0,
			top: rowTopDevicePx(viewport, row) / viewport.devicePixelRatio,
			height: rowCssPx(viewport.devicePixelRatio),
			active: row === activeRow,
			pointed: pointing.pointed.value?.row === row
		}, nodes[row]))
	});
}
function TreeRow({ store, tree, node, top, height, active, pointed }) {
	const depth = depthOf(tree, node);
	const folder = hasChildren(tree, node);
	const isOpen = store.open.value.has(tree.keys[node] ?? "");
	const bad = store.painted.value.nonFiniteNodes.has(node);
	const name = fullName(tree, node).slice(0, TITLE_CHARACTERS);
	const shape = store.meta.value?.nodes.shape[node] ?? null;
	return /* @__PURE__ */ a$1("div", {
		class: [
			"row",
			tree.kinds[node] ?? "",
			active ? "active" : "",
			pointed ? "pointed" : ""
		].join(" "),
		role: "treeitem",
		"data-testid": "treeitem",
		"data-node": node,
		"aria-level": depth + 1,
		"aria-posinset": (tree.places[node] ?? 0) + 1,
		"aria-setsize": node === 0 ? 1 : childrenOf(tree, parentOf(tree, node)).length,
		"aria-selected": active,
		...folder ? { "aria-expanded": isOpen } : {},
		tabIndex: active ? 0 : -1,
		title: bad ? `${name}: NaN or Inf in view` : name,
		style: {
			top: px(top),
			height: px(height),
			paddingLeft: px(6 + Math.min(depth, MOST_INDENTS) * INDENT_CSS_PX)
		},
		onClick: () => {
			store.activeKey.value = tree.keys[node] ?? null;
			if (folder) toggle(store, tree, node);
		},
		children: [
			/* @__PURE__ */ a$1("span", {
				class: folder ? isOpen ? "twisty open" : "twisty" : "twisty none",
				"aria-hidden": "true"
			}),
			/* @__PURE__ */ a$1("bdi", {
				class: "name",
				children: shortName(tree, node)
			}),
			shape !== null && shape.length > 0 && /* @__PURE__ */ a$1("span", {
				class: "shape",
				children: shape.join("×")
			}),
			bad && /* @__PURE__ */ a$1("span", {
				class: "bad",
				children: "NaN/Inf"
			})
		]
	});
}
function TreeButtons({ store }) {
	const set = (opener) => () => {
		const tree = store.tree.peek();
		if (tree !== null) store.setOpen(opener(tree));
	};
	return /* @__PURE__ */ a$1("div", {
		class: "tree-head",
		children: [
			/* @__PURE__ */ a$1("span", { children: "Module" }),
			/* @__PURE__ */ a$1("button", {
				type: "button",
				"data-testid": "expand-all",
				onClick: set(openAll),
				title: "Unfold all modules",
				children: "Unfold all"
			}),
			/* @__PURE__ */ a$1("button", {
				type: "button",
				"data-testid": "collapse-all",
				onClick: set(openTop),
				title: "Fold all modules",
				children: "Fold all"
			})
		]
	});
}
/** The active row; where its node is folded away, that of its nearest ancestor with a row. */
function activeRowOf(tree, nodes, key) {
	if (key === null) return 0;
	for (let node = tree.keys.indexOf(key); node > 0; node = parentOf(tree, node)) {
		const row = nodes.indexOf(node);
		if (row >= 0) return row;
	}
	return 0;
}
function toggle(store, tree, node) {
	const key = tree.keys[node] ?? "";
	const open = store.open.peek();
	store.setOpen(open.has(key) ? withFolded(open, key) : withUnfolded(open, [key]));
}
/** The keys that the ARIA practices give a tree; whether this was one of them. */
function treeKey(store, pointing, tree, row, key) {
	const nodes = store.nodes.peek();
	const node = nodes[row] ?? 0;
	const isOpen = store.open.peek().has(tree.keys[node] ?? "");
	const goTo = (target) => {
		const next = Math.min(nodes.length - 1, Math.max(0, target));
		store.activeKey.value = tree.keys[nodes[next] ?? 0] ?? null;
		pointing.revealRow(next);
	};
	switch (key) {
		case "ArrowDown":
			goTo(row + 1);
			return true;
		case "ArrowUp":
			goTo(row - 1);
			return true;
		case "Home":
			goTo(0);
			return true;
		case "End":
			goTo(nodes.length - 1);
			return true;
		case "ArrowRight":
			if (isOpen) goTo(row + 1);
			else if (hasChildren(tree, node)) toggle(store, tree, node);
			return true;
		case "ArrowLeft":
			if (isOpen) toggle(store, tree, node);
			else goTo(nodes.indexOf(parentOf(tree, node)));
			return true;
		case "Enter":
		case " ":
			if (hasChildren(tree, node)) toggle(store, tree, node);
			return true;
		case "*":
			store.setOpen(withUnfolded(store.open.peek(), Array.from(childrenOf(tree, parentOf(tree, node)), (sibling) => tree.keys[sibling] ?? "")));
			return true;
		default: return false;
	}
}
// src/app.tsx
function App({ store, pointing, figures, theme }) {
	return /* @__PURE__ */ a$1("main", {
		class: "app",
		children: [
			/* @__PURE__ */ a$1(Toolbar, { store }),
			/* @__PURE__ */ a$1(Notices, { store }),
			store.screen.value === "heatmap" ? /* @__PURE__ */ a$1($, { children: [/* @__PURE__ */ a$1("div", {
				class: "caption",
				children: [/* @__PURE__ */ a$1(Caption, { store }), /* @__PURE__ */ a$1(Legend, { store })]
			}), /* @__PURE__ */ a$1(Picture, {
				store,
				pointing,
				figures,
				theme
			})] }) : /* @__PURE__ */ a$1(Message, { store })
		]
	});
}
/** In words: what the colours show, and what is in view. Its height stays, or zooming would move the heatmap. */
function Caption({ store }) {
	const [metric, view, scale] = [
		store.metric.value,
		store.view.value,
		store.scale.value
	];
	const bad = store.painted.value.nonFiniteCells;
	return /* @__PURE__ */ a$1("div", {
		class: "words",
		children: [/* @__PURE__ */ a$1("div", {
			class: "line",
			children: [
				/* @__PURE__ */ a$1("h1", {
					"data-testid": "caption",
					children: [
						metric?.label,
						", ",
						view?.label
					]
				}),
				/* @__PURE__ */ a$1("bdi", {
					class: "quiet",
					"data-testid": "stream-label",
					children: store.stream.value?.label
				}),
				scale !== null && /* @__PURE__ */ a$1("span", {
					class: "quiet",
					children: ["each cell ", plural(scale.cellSteps, "step")]
				}),
				bad > 0 && /* @__PURE__ */ a$1("span", {
					class: "bad",
					"data-testid": "non-finite-count",
					children: [plural(bad, "cell"), " with NaN or Inf in view"]
				})
			]
		}), /* @__PURE__ */ a$1("p", {
			class: "quiet",
			children: metric?.meaning
		})]
	});
}
/**
* Tree, axis and heatmap. All of them stay in place in a box that scrolls an empty page behind them, and are drawn
* for the scroll position: so the browser's own scrolling moves the tree and the canvas in the same frame.
*/
function Picture({ store, pointing, figures, theme }) {
	const scroller = T(null);
	const heatmap = T(null);
	const scrollCssPx = store.scrollCssPx.value;
	A$1(() => {
		if (scroller.current !== null && Math.abs(scroller.current.scrollTop - scrollCssPx) >= 1) scroller.current.scrollTop = scrollCssPx;
	}, [scrollCssPx]);
	const strip = store.marks.value.length > 0;
	return /* @__PURE__ */ a$1($, { children: [/* @__PURE__ */ a$1("div", {
		ref: scroller,
		class: "scroller",
		onScroll: (event) => {
			store.scrollCssPx.value = event.currentTarget.scrollTop;
		},
		children: /* @__PURE__ */ a$1("div", {
			class: "page",
			style: { height: `calc(${store.nodes.value.length * rowCssPx(store.size.value.devicePixelRatio)}px + var(--head) + ${strip ? "var(--strip)" : "0px"})` },
			children: /* @__PURE__ */ a$1("div", {
				class: strip ? "pinned with-strip" : "pinned",
				children: [
					/* @__PURE__ */ a$1(TreeButtons, { store }),
					/* @__PURE__ */ a$1(Axis, { store }),
					strip && /* @__PURE__ */ a$1(Strip, { store }),
					/* @__PURE__ */ a$1(TreeView, {
						store,
						pointing
					}),
					/* @__PURE__ */ a$1(HeatmapView, {
						store,
						pointing,
						theme,
						element: heatmap
					})
				]
			})
		})
	}), /* @__PURE__ */ a$1(Tooltip, {
		store,
		pointing,
		figures,
		heatmap
	})] });
}
// src/figures.ts
/** A pointer that crosses cells on its way asks for none of them. */
var DEBOUNCE_MS = 120;
/** The exact figures behind the cell that is pointed at; they come a moment after the pointer has come to rest. */
var Figures = class {
	api;
	store;
	/** By cell and revision; a signal, so that a tooltip shows them when they come. */
	known = y$1(/* @__PURE__ */ new Map());
	timer;
	constructor(api, store) {
		this.api = api;
		this.store = store;
	}
	of(pointed) {
		return this.known.value.get(this.keyOf(pointed)) ?? null;
	}
	ask(pointed) {
		clearTimeout(this.timer);
		const layer = this.store.layer.peek();
		if (pointed === null || layer === null || this.known.peek().has(this.keyOf(pointed))) return;
		this.timer = setTimeout(() => void this.fetch(pointed, layer.run, layer.stream), DEBOUNCE_MS);
	}
	async fetch(pointed, run, stream) {
		const key = this.keyOf(pointed);
		try {
			const figures = await this.api.cell(run, stream, pointed.node, pointed.level, pointed.index);
			const kept = [...this.known.peek()].slice(-499);
			this.known.value = new Map([...kept, [key, figures]]);
		} catch {}
	}
	keyOf({ node, level, index }) {
		const [layer, meta] = [this.store.layer.value, this.store.meta.value];
		return [
			layer?.run,
			layer?.stream,
			meta?.revision,
			node,
			level,
			index
		].join("\n");
	}
};
// src/hooks.ts
function installHooks(store, pointing) {
	let ready = false;
	const stop = store.painted.subscribe(({ complete }) => {
		ready ||= complete;
	});
	window.gradHealth = Object.freeze({
		get ready() {
			if (ready) stop();
			return ready;
		},
		cellAt(cssX, cssY) {
			const cell = pointing.cellAt(cssX, cssY);
			return cell === null ? null : {
				node: cell.node,
				level: cell.level,
				index: cell.index
			};
		},
		rectOf: (node, step) => pointing.rectOf(node, step),
		state: () => ({
			run: store.runName.peek(),
			metric: store.metric.peek()?.name ?? null,
			view: store.view.peek()?.name ?? null,
			level: store.scale.peek()?.level ?? null,
			visibleNodes: Array.from(store.nodes.peek()),
			complete: store.painted.peek().complete
		})
	});
}
// src/live.ts
var POLL_MS = 5e3;
var BACK_NOTICE_MS = 4e3;
/** Keeps the store up to date while somebody can see it, and tells when TensorBoard goes away and comes back. */
var Live = class {
	store;
	api;
	isVisible;
	timer;
	polling = false;
	loading = null;
	/** After an outage the server may be another process, whose revisions mean something else. */
	distrusted = false;
	constructor(store, api, isVisible) {
		this.store = store;
		this.api = api;
		this.isVisible = isVisible;
	}
	start() {
		x(() => {
			const run = this.store.run.value;
			if (run !== null) this.loadMeta(run);
		});
		this.poll();
	}
	/** To be called when the page may have come into sight: a hidden page has stopped polling. */
	wake() {
		if (this.timer === void 0) this.poll();
	}
	async poll() {
		clearTimeout(this.timer);
		this.timer = void 0;
		if (this.polling || !this.isVisible()) return;
		this.polling = true;
		try {
			const runs = await this.api.runs();
			this.answered();
			this.store.receiveRuns(runs);
			this.store.tiles.resume();
		} catch (error) {
			this.failed(error);
		} finally {
			this.polling = false;
			this.timer = setTimeout(() => void this.poll(), POLL_MS);
		}
	}
	/** Takes note of a failed request, whoever sent it. */
	failed(error) {
		if (error instanceof Unreachable) this.store.connection.value = "gone";
		else if (!(error instanceof DOMException)) this.store.refusal.value = messageOf(error);
	}
	answered() {
		if (this.store.connection.peek() !== "gone") return;
		this.store.connection.value = "back";
		this.distrusted = true;
		setTimeout(() => {
			if (this.store.connection.peek() === "back") this.store.connection.value = "ok";
		}, BACK_NOTICE_MS);
	}
	async loadMeta(run) {
		const meta = this.store.meta.peek();
		const current = meta?.run === run.name && meta.revision === run.revision && !this.distrusted;
		if (run.status !== "ok" || current || this.loading === run.name) return;
		this.loading = run.name;
		try {
			const next = await this.api.meta(run.name);
			this.store.receiveMeta(next);
			if (this.distrusted) this.refetch(run.name);
		} catch (error) {
			if (error instanceof Unreachable || run.name === this.store.runName.peek()) this.failed(error);
		} finally {
			if (this.loading === run.name) this.loading = null;
		}
	}
	refetch(run) {
		this.distrusted = false;
		const grid = this.store.grid.peek();
		if (grid !== null) this.store.tiles.invalidate(run, grid, Number.NEGATIVE_INFINITY);
		this.store.tilesArrived.value++;
	}
};
function messageOf(error) {
	const message = error instanceof Error ? error.message : String(error);
	return error instanceof Refused ? message : `The front end could not read TensorBoard's answer. ${message}`;
}
// src/note_feed.ts
/** Pages fetched of a run at most; a run with more notes than these hold says so. */
var MOST_PAGES = 10;
/** Keeps the run's notes up to date: each new revision of the run is asked for them. */
var NoteFeed = class {
	api;
	store;
	failed;
	latest = 0;
	constructor(api, store, failed) {
		this.api = api;
		this.store = store;
		this.failed = failed;
	}
	start() {
		x(() => {
			const meta = this.store.meta.value;
			const number = ++this.latest;
			if (meta !== null) this.load(meta, number);
		});
	}
	async load(meta, number) {
		try {
			const notes = await this.pages(meta);
			if (number === this.latest) this.store.notes.value = notes;
		} catch (error) {
			if (number === this.latest) this.failed(error);
		}
	}
	/** A note may stand at the end of the run as well, before the step that never came. */
	async pages({ run, streams, steps: [first, end] }) {
		const lead = streams[0]?.name;
		const notes = [];
		let begin = first;
		for (let page = 0; lead !== void 0 && page < MOST_PAGES; page++) {
			const found = await this.api.notes(run, lead, begin, end + 1);
			const last = found.notes.at(-1)?.step ?? begin;
			if (found.complete) return {
				notes: [...notes, ...found.notes],
				complete: true
			};
			if (last <= begin) break;
			notes.push(...found.notes.filter((note) => note.step < last));
			begin = last;
		}
		return {
			notes,
			complete: lead === void 0
		};
	}
};
// src/pointing.ts
/** Which cell is meant: the one under the pointer, else the one under the cursor while the heatmap has the focus. */
var Pointing = class {
	store;
	constructor(store) {
		this.store = store;
	}
	pointed = O(() => {
		const pointer = this.store.pointer.value;
		if (pointer !== null) return this.cellAt(pointer.cssX, pointer.cssY);
		return this.store.cursorShown.value ? this.cursorCell.value : null;
	});
	cursorCell = O(() => {
		const [scene, place, tree] = [
			this.store.scene.value,
			this.store.cursor.value,
			this.store.tree.value
		];
		if (scene === null || place === null || tree === null) return null;
		const row = scene.nodes.findIndex((node) => tree.keys[node] === place.key);
		return this.describe(row, Math.floor(place.step / scene.scale.cellSteps), "cursor");
	});
	cellAt(cssX, cssY) {
		const scene = this.store.scene.value;
		if (scene === null || cssX < 0 || cssY < 0) return null;
		const { row, cell } = cellAtCssPx(scene.viewport, scene.scale, cssX, cssY);
		return this.describe(row, cell, "pointer");
	}
	/** The rectangle of the cell that holds a node's step, or null where it is not in view. */
	rectOf(node, step) {
		const scene = this.store.scene.peek();
		if (scene === null || step < scene.grid.steps[0] || step >= scene.grid.steps[1]) return null;
		const row = scene.nodes.indexOf(node);
		return cellRectCssPx(scene.viewport, scene.scale, row, Math.floor(step / scene.scale.cellSteps));
	}
	describe(row, index, by) {
		const scene = this.store.scene.value;
		const node = scene?.nodes[row];
		if (scene === null || node === void 0) return null;
		const { scale, grid, viewport } = scene;
		if ((index + 1) * scale.cellSteps <= grid.steps[0] || index * scale.cellSteps >= grid.steps[1]) return null;
		const rect = cellRectCssPx(viewport, scale, row, index);
		return rect === null ? null : {
			by,
			node,
			row,
			level: scale.level,
			index,
			rect
		};
	}
	/** What the tile at hand says of a cell. */
	shownValue({ node, level, index }) {
		const tile = this.store.scene.value?.tileAt({
			level,
			r: Math.floor(node / 64),
			c: Math.floor(index / 512)
		});
		if (tile === void 0) return null;
		const at = node % 64 * 512 + index % 512;
		return {
			value: valueOf(tile.codes[at] ?? 0, tile.folded),
			flags: tile.flags[at] ?? 0
		};
	}
	pathOf(node) {
		const tree = this.store.tree.value;
		return tree === null ? "" : fullName(tree, node);
	}
	placeCursor(pointed) {
		const [scene, tree] = [this.store.scene.peek(), this.store.tree.peek()];
		const key = tree?.keys[pointed.node];
		if (scene === null || key === void 0) return;
		const step = Math.max(scene.grid.steps[0], pointed.index * scene.scale.cellSteps);
		r(() => {
			this.store.cursor.value = {
				key,
				step
			};
			this.store.cursorShown.value = true;
			this.store.activeKey.value = key;
		});
	}
	/** Moves the cursor by rows and cells and brings it into view; without a cursor it starts in the middle. */
	moveCursor(rows, cells) {
		const [scene, tree] = [this.store.scene.peek(), this.store.tree.peek()];
		if (scene === null || tree === null || scene.nodes.length === 0) return;
		const { scale, grid } = scene;
		const place = this.store.cursor.peek();
		const known = place === null ? -1 : scene.nodes.findIndex((node) => tree.keys[node] === place.key);
		const from = place ?? { step: Math.floor((scale.start + scale.end) / 2) };
		const firstCell = Math.floor(grid.steps[0] / scale.cellSteps);
		const lastCell = Math.ceil(grid.steps[1] / scale.cellSteps) - 1;
		const cell = clamp(Math.floor(from.step / scale.cellSteps) + (place === null ? 0 : cells), firstCell, lastCell);
		const row = clamp(Math.max(0, known) + (place === null ? 0 : rows), 0, scene.nodes.length - 1);
		const key = tree.keys[scene.nodes[row] ?? 0] ?? "";
		r(() => {
			this.store.pointer.value = null;
			this.store.cursorShown.value = true;
			this.store.activeKey.value = key;
			this.store.cursor.value = {
				key,
				step: Math.max(grid.steps[0], cell * scale.cellSteps)
			};
			this.revealRow(row);
			this.revealCell(cell);
		});
	}
	revealRow(row) {
		const { heightDevicePx, scrollDevicePx, devicePixelRatio } = this.store.viewport.peek();
		const height = rowDevicePx(devicePixelRatio);
		const top = row * height;
		const bottom = top + height - heightDevicePx;
		if (top < scrollDevicePx) this.store.scrollCssPx.value = top / devicePixelRatio;
		else if (bottom > scrollDevicePx) this.store.scrollCssPx.value = bottom / devicePixelRatio;
	}
	revealCell(cell) {
		const scale = this.store.scale.peek();
		if (scale === null) return;
		const left = cellEdgeDevicePx(scale, cell);
		const right = cellEdgeDevicePx(scale, cell + 1);
		const over = left < 0 ? left : Math.max(0, right - scale.widthDevicePx);
		if (over !== 0) this.store.zoomTo(shifted(scale, stepAt(scale, over) - stepAt(scale, 0)));
	}
	/** The step axis around a point, for zooming: the step under the pointer, else the cursor's, else the middle. */
	focusStep() {
		const scale = this.store.scale.peek();
		if (scale === null) return 0;
		const pointer = this.store.pointer.peek();
		if (pointer !== null) return stepAt(scale, pointer.cssX * this.store.size.peek().devicePixelRatio);
		const step = this.store.cursor.peek()?.step;
		return step !== void 0 && step >= scale.start && step < scale.end ? step : (scale.start + scale.end) / 2;
	}
};
function clamp(value, least, most) {
	return Math.min(most, Math.max(least, value));
}
// src/store.ts
var NOTHING_PAINTED = {
	complete: false,
	nonFiniteCells: 0,
	nonFiniteNodes: /* @__PURE__ */ new Set()
};
/** All that the page shows, as signals, and the changes that people and the backend make to it. */
var Store = class {
	tiles;
	runs = y$1(null);
	runName = y$1(null);
	meta = y$1(null);
	tree = y$1(null);
	/** What happened in the run, as far as it has been fetched. */
	notes = y$1(null);
	connection = y$1("ok");
	/** Why the backend could not give what was asked for. */
	refusal = y$1(null);
	open = y$1(/* @__PURE__ */ new Set());
	activeKey = y$1(null);
	size = y$1({
		widthDevicePx: 0,
		heightDevicePx: 0,
		devicePixelRatio: 1
	});
	scrollCssPx = y$1(0);
	/** Null is the whole run, which grows with it. */
	window = y$1(null);
	/** Locked when first computed, until another metric, view or run is chosen or the user fits them. */
	ranges = y$1(null);
	colourMaps = y$1({
		sequential: "cividis",
		diverging: "rdbu"
	});
	pointer = y$1(null);
	cursor = y$1(null);
	cursorShown = y$1(false);
	/** Grows when tiles have come. */
	tilesArrived = y$1(0);
	painted = y$1(NOTHING_PAINTED);
	streamName = y$1(null);
	metricName = y$1(null);
	viewName = y$1(null);
	scaleNames = y$1(/* @__PURE__ */ new Map());
	openByRun = /* @__PURE__ */ new Map();
	chosenByUser = false;
	constructor(tiles) {
		this.tiles = tiles;
	}
	run = O(() => this.runs.value?.find((run) => run.name === this.runName.value) ?? null);
	stream = O(() => chosen(this.meta.value?.streams, this.streamName.value));
	metric = O(() => chosen(this.meta.value?.metrics, this.metricName.value));
	view = O(() => chosen(this.meta.value?.views, this.viewName.value));
	scaleName = O(() => {
		const metric = this.metric.value;
		return metric === null ? "linear" : this.scaleNames.value.get(metric.name) ?? metric.scale;
	});
	screen = O(() => {
		if (this.runs.value === null) return this.refusal.value === null ? "loading" : "refused";
		if (this.runs.value.every((run) => run.status === "none")) return "empty";
		if (this.run.value === null) return "missing";
		if (this.run.value.status !== "ok") return this.run.value.status;
		if (this.meta.value === null) return this.refusal.value === null ? "loading" : "refused";
		return this.hasData.value ? "heatmap" : "waiting";
	});
	hasData = O(() => {
		const meta = this.meta.value;
		return meta !== null && meta.steps[1] > meta.steps[0] && meta.nodes.name.length > 0 && this.layer.value !== null;
	});
	layer = O(() => {
		const [run, stream, metric, view] = [
			this.meta.value?.run,
			this.stream.value,
			this.metric.value,
			this.view.value
		];
		if (run === void 0 || stream === null || metric === null || view === null) return null;
		return {
			run,
			stream: stream.name,
			metric: metric.name,
			view: view.name
		};
	});
	marks = O(() => marksOf(this.meta.value?.sessions ?? [], this.notes.value?.notes ?? []));
	grid = O(() => {
		const meta = this.meta.value;
		return meta === null ? null : {
			steps: meta.steps,
			cell: meta.cell,
			levels: meta.levels
		};
	});
	nodes = O(() => this.tree.value === null ? /* @__PURE__ */ new Int32Array() : visibleNodes(this.tree.value, this.open.value));
	viewport = O(() => {
		const size = this.size.value;
		const contentDevicePx = this.nodes.value.length * rowDevicePx(size.devicePixelRatio);
		const wanted = Math.round(this.scrollCssPx.value * size.devicePixelRatio);
		return {
			...size,
			scrollDevicePx: Math.max(0, Math.min(wanted, contentDevicePx - size.heightDevicePx))
		};
	});
	scale = O(() => {
		const [grid, { widthDevicePx }] = [this.grid.value, this.size.value];
		if (grid === null || !this.hasData.value || widthDevicePx === 0) return null;
		return stepScale(grid, this.window.value ?? wholeRun(grid, widthDevicePx), widthDevicePx);
	});
	scene = O(() => {
		const [scale, grid, layer] = [
			this.scale.value,
			this.grid.value,
			this.layer.value
		];
		if (scale === null || grid === null || layer === null) return null;
		const tileAt = (id) => this.tiles.get(layer, id);
		return {
			scale,
			grid,
			tileAt,
			arrivals: this.tilesArrived.value,
			nodes: this.nodes.value,
			viewport: this.viewport.value
		};
	});
	range = O(() => this.ranges.value?.[this.scaleName.value] ?? null);
	colourMap = O(() => this.colourMaps.value[colourFamily(this.metric.value?.kind ?? "magnitude")]);
	tables = O(() => {
		const [range, map] = [this.range.value, this.colourMap.value];
		if (range === null) return null;
		const plain = colourTable(range, false, map);
		return {
			plain,
			folded: range.kind === "fraction" ? colourTable(range, true, map) : plain
		};
	});
	receiveRuns(runs) {
		r(() => {
			this.runs.value = runs;
			const current = runs.find((run) => run.name === this.runName.peek());
			if (this.chosenByUser || current?.status === "ok") return;
			const best = [
				"ok",
				"waiting",
				"unreadable",
				"none"
			].map((status) => runs.find((run) => run.status === status)).find((run) => run !== void 0);
			if (best !== void 0) this.enter(best.name);
		});
	}
	chooseRun(name) {
		this.chosenByUser = true;
		this.enter(name);
	}
	enter(name) {
		if (name === this.runName.peek()) return;
		r(() => {
			this.runName.value = name;
			this.meta.value = null;
			this.notes.value = null;
			this.refusal.value = null;
			this.window.value = null;
			this.cursor.value = null;
			this.scrollCssPx.value = 0;
			this.forgetRange();
		});
	}
	/** Takes over a run's new figures, and keeps folds, zoom and cursor where they are. */
	receiveMeta(next) {
		if (next.run !== this.runName.peek()) return;
		const [previous, previousTree] = [this.meta.peek(), this.tree.peek()];
		const tree = buildTree(next.nodes);
		const same = previousTree !== null && sameNodes(previousTree, tree);
		r(() => {
			this.refusal.value = null;
			if (!same) this.tree.value = tree;
			if (previous === null) {
				const inherited = same ? this.open.peek() : openFirstLook(tree);
				this.open.value = this.openByRun.get(next.run) ?? inherited;
			}
			this.meta.value = next;
			const width = this.size.peek().widthDevicePx;
			const window = this.window.peek();
			if (window !== null && width > 0) this.window.value = clampWindow(next, window, width);
		});
		if (previous === null) return;
		if (!same || previous.cell !== next.cell || next.revision < previous.revision) this.tiles.forget(next.run);
		else this.tiles.invalidate(next.run, next, firstChangedStep(previous, next));
		this.tilesArrived.value++;
	}
	chooseStream(name) {
		r(() => {
			this.streamName.value = name;
			this.forgetRange();
		});
	}
	chooseMetric(name) {
		r(() => {
			this.metricName.value = name;
			this.forgetRange();
		});
	}
	chooseView(name) {
		r(() => {
			this.viewName.value = name;
			this.forgetRange();
		});
	}
	chooseScale(name) {
		const metric = this.metric.peek();
		if (metric !== null) this.scaleNames.value = new Map([...this.scaleNames.peek(), [metric.name, name]]);
	}
	chooseColourMap(name) {
		const family = colourFamily(this.metric.peek()?.kind ?? "magnitude");
		this.colourMaps.value = {
			...this.colourMaps.peek(),
			[family]: name
		};
	}
	forgetRange() {
		this.refusal.value = null;
		this.ranges.value = null;
		this.painted.value = NOTHING_PAINTED;
	}
	setOpen(open) {
		this.open.value = open;
		const run = this.meta.peek()?.run;
		if (run !== void 0) this.openByRun.set(run, open);
	}
	/** Shows these steps; as much as the whole run, or more, is the whole run. */
	zoomTo(window) {
		const grid = this.grid.peek();
		if (grid !== null) this.window.value = clampWindow(grid, window, this.size.peek().widthDevicePx);
	}
};
function chosen(options, name) {
	return options?.find((option) => option.name === name) ?? options?.[0] ?? null;
}
/** Where new figures begin: at the old end, or at the first step that a new session replaces. */
function firstChangedStep(previous, next) {
	if (previous.steps[0] !== next.steps[0]) return Number.NEGATIVE_INFINITY;
	const known = new Set(previous.sessions.map((session) => session.id));
	const starts = next.sessions.filter((session) => !known.has(session.id)).map((session) => session.start);
	return Math.min(previous.steps[1], ...starts);
}
// src/styles/controls.css?inline
var controls_default = "button,\nselect,\ninput[type='search'] {\n  height: 28px;\n  padding: 0 10px;\n  border: 1px solid var(--line);\n  border-radius: 6px;\n  background-color: var(--control);\n  color: var(--text);\n  font: inherit;\n}\n\nbutton {\n  cursor: pointer;\n}\n\nbutton:hover,\nselect:hover {\n  border-color: var(--quiet);\n}\n\nbutton.primary {\n  border-color: var(--accent);\n  color: var(--accent);\n  font-weight: 600;\n}\n\nselect {\n  max-width: 240px;\n  padding-right: 26px;\n  appearance: none;\n  background-image:\n    linear-gradient(45deg, transparent 50%, var(--quiet) 50%),\n    linear-gradient(135deg, var(--quiet) 50%, transparent 50%);\n  background-position:\n    right 13px top 11px,\n    right 8px top 11px;\n  background-size: 5px 5px;\n  background-repeat: no-repeat;\n  text-overflow: ellipsis;\n}\n\n.toolbar {\n  display: flex;\n  flex: none;\n  flex-wrap: wrap;\n  gap: 8px 18px;\n  padding: 10px 14px;\n  border-bottom: 1px solid var(--line);\n  background: var(--raised);\n}\n\n.field {\n  display: flex;\n  align-items: center;\n  gap: 7px;\n  min-width: 0;\n}\n\n.field > span:first-child {\n  color: var(--quiet);\n}\n\n.run-filter {\n  width: 120px;\n}\n\n.segments {\n  display: inline-flex;\n  overflow: hidden;\n  border: 1px solid var(--line);\n  border-radius: 6px;\n  background: var(--control);\n}\n\n.segments:focus-within {\n  outline: 2px solid var(--focus);\n  outline-offset: 1px;\n}\n\n.segments input {\n  position: absolute;\n  opacity: 0;\n}\n\n.segments label span {\n  display: block;\n  padding: 0 11px;\n  color: var(--quiet);\n  line-height: 26px;\n  cursor: pointer;\n}\n\n.segments input:checked + span {\n  background: var(--active);\n  color: var(--text);\n  font-weight: 600;\n}\n\n.notice {\n  padding: 6px 14px;\n  border-bottom: 1px solid var(--line);\n  overflow-wrap: anywhere;\n}\n\n.notice.warning {\n  background: var(--warning);\n}\n\n.notice.good {\n  background: var(--good);\n}\n\n.message {\n  width: min(680px, 100% - 40px);\n  margin: 12vh auto 0;\n  overflow-wrap: anywhere;\n}\n\n.message h1 {\n  margin: 0 0 8px;\n  font-size: 20px;\n  font-weight: 500;\n}\n\n.message pre {\n  padding: 14px 16px;\n  border: 1px solid var(--line);\n  border-radius: 8px;\n  background: var(--raised);\n  font:\n    13px/1.7 'Roboto Mono',\n    Menlo,\n    Consolas,\n    'DejaVu Sans Mono',\n    monospace;\n  white-space: pre-wrap;\n}\n";
// src/styles/picture.css?inline
var picture_default = ".scroller {\n  flex: 1;\n  min-height: 0;\n  overflow: auto;\n  border-top: 1px solid var(--line);\n  container-type: size;\n}\n\n.page {\n  min-width: 680px;\n  min-height: 100cqh;\n}\n\n.pinned {\n  position: sticky;\n  top: 0;\n  display: grid;\n  grid-template-rows: var(--head) minmax(0, 1fr);\n  /* The coarsest level may have 512 cells, each of which needs a pixel. */\n  grid-template-columns: clamp(160px, 26cqw, 340px) minmax(513px, 1fr);\n  height: 100cqh;\n  overflow: hidden;\n}\n\n.pinned.with-strip {\n  grid-template-rows: var(--head) var(--strip) minmax(0, 1fr);\n}\n\n.tree-head,\n.axis {\n  border-bottom: 1px solid var(--line);\n  background: var(--raised);\n}\n\n.tree-head {\n  display: flex;\n  align-items: center;\n  gap: 6px;\n  padding: 0 8px 0 12px;\n  border-right: 1px solid var(--line);\n  color: var(--quiet);\n  white-space: nowrap;\n  overflow: hidden;\n}\n\n.tree-head span {\n  flex: 1;\n  overflow: hidden;\n  text-overflow: ellipsis;\n}\n\n@container (width < 900px) {\n  .tree-head span {\n    display: none;\n  }\n}\n\n.axis {\n  position: relative;\n  overflow: hidden;\n  color: var(--quiet);\n  font-size: 11px;\n}\n\n.tick {\n  position: absolute;\n  bottom: 6px;\n  padding-left: 4px;\n  line-height: 14px;\n  white-space: nowrap;\n}\n\n.tick::before {\n  position: absolute;\n  bottom: -6px;\n  left: 0;\n  width: 1px;\n  height: 12px;\n  background: var(--quiet);\n  content: '';\n}\n\n.axis-title {\n  position: absolute;\n  top: 0;\n  right: 0;\n  z-index: 1;\n  padding: 0 8px;\n  background: var(--raised);\n  line-height: 29px;\n}\n\n.axis-title button {\n  margin-left: 8px;\n}\n\n.tree {\n  position: relative;\n  overflow: hidden;\n  border-right: 1px solid var(--line);\n}\n\n.row {\n  position: absolute;\n  right: 0;\n  left: 0;\n  display: flex;\n  align-items: center;\n  gap: 4px;\n  padding-right: 8px;\n  font-size: 12px;\n  white-space: nowrap;\n  cursor: default;\n}\n\n.row.module,\n.row.total {\n  font-weight: 500;\n}\n\n.row.tensor .name {\n  color: var(--quiet);\n}\n\n.row.pointed,\n.row:hover {\n  background: var(--hover);\n}\n\n.row.active {\n  background: var(--active);\n}\n\n.row:focus-visible {\n  outline-offset: -2px;\n}\n\n.row .name {\n  flex: 0 1 auto;\n  min-width: 32px;\n  overflow: hidden;\n  text-overflow: ellipsis;\n}\n\n.row.tensor.active .name {\n  color: var(--text);\n}\n\n.row .shape {\n  flex: 0 1 auto;\n  min-width: 0;\n  margin-left: auto;\n  overflow: hidden;\n  color: var(--quiet);\n  font-size: 11px;\n  text-overflow: ellipsis;\n}\n\n.row .bad {\n  flex: none;\n  margin-left: auto;\n  font-size: 10px;\n}\n\n.row .shape + .bad {\n  margin-left: 4px;\n}\n\n.twisty {\n  flex: none;\n  width: 12px;\n  height: 12px;\n}\n\n.twisty::before {\n  display: block;\n  width: 0;\n  height: 0;\n  margin: 2px 3px;\n  border: 4px solid transparent;\n  border-right: 0;\n  border-left: 6px solid var(--quiet);\n  content: '';\n}\n\n.twisty.open::before {\n  transform: rotate(90deg);\n}\n\n.twisty.none::before {\n  display: none;\n}\n\n.heatmap {\n  position: relative;\n  overflow: hidden;\n}\n\n.heatmap canvas {\n  display: block;\n  width: 100%;\n  height: 100%;\n  touch-action: pan-y;\n}\n\n.heatmap canvas:focus-visible {\n  outline-offset: -2px;\n}\n\n.cell-frame {\n  position: absolute;\n  pointer-events: none;\n}\n\n.cell-frame.hover {\n  outline: 1px solid var(--text);\n  box-shadow: 0 0 0 2px var(--background);\n}\n\n.cell-frame.cursor {\n  outline: 2px solid var(--focus);\n  outline-offset: 1px;\n  box-shadow: 0 0 0 1px var(--background);\n}\n";
// src/styles/strip.css?inline
var strip_default = ".strip,\n.strip-head {\n  overflow: hidden;\n  border-bottom: 1px solid var(--line);\n  background: var(--background);\n}\n\n.strip-head {\n  padding: 0 8px 0 12px;\n  border-right: 1px solid var(--line);\n  color: var(--quiet);\n  font-size: 11px;\n  line-height: 16px;\n  text-overflow: ellipsis;\n  white-space: nowrap;\n}\n\n.strip {\n  position: relative;\n}\n\n.mark {\n  position: absolute;\n  top: 0;\n  width: 12px;\n  height: 16px;\n  margin-left: -6px;\n  padding: 0;\n  border: 0;\n  border-radius: 2px;\n  background: none;\n}\n\n.mark:hover,\n.mark:focus-visible {\n  background: var(--active);\n}\n\n.mark:focus-visible {\n  outline-offset: -2px;\n}\n\n.mark svg {\n  display: block;\n  overflow: visible;\n  fill: none;\n  stroke-width: 1.6;\n}\n\n.mark .skipped {\n  fill: var(--skipped);\n}\n\n.mark .diverged {\n  fill: var(--diverged);\n}\n\n.mark .not_stepped,\n.mark .other {\n  stroke: var(--quiet);\n}\n\n.mark .rewind,\n.mark .resume {\n  stroke: var(--text);\n}\n\n.tooltip .sentence + .sentence {\n  margin-top: 4px;\n}\n";
// src/styles/theme.css?inline
var theme_default = ":root {\n  --background: #ffffff;\n  --raised: #f6f7f9;\n  --text: #202124;\n  --quiet: #5a6068;\n  --line: #d9dce1;\n  --control: #ffffff;\n  --accent: #b45309;\n  --focus: #1a73e8;\n  --hover: #eef1f5;\n  --active: #e3ecfb;\n  --bad: #b0007f;\n  --warning: #fff4e0;\n  --good: #e4f5ea;\n  --hatch: #aab1b9;\n  --head: 30px;\n  --strip: 17px;\n  --skipped: #b26a00;\n  --diverged: #c5221f;\n  --shadow: 0 4px 16px rgb(0 0 0 / 18%);\n  color-scheme: light;\n}\n\n:root[data-theme='dark'] {\n  --background: #26292d;\n  --raised: #2f3338;\n  --text: #e6e8eb;\n  --quiet: #a9b0b8;\n  --line: #43484f;\n  --control: #34383e;\n  --accent: #ffb066;\n  --focus: #8ab4f8;\n  --hover: #333940;\n  --active: #2f405c;\n  --bad: #ff8ee2;\n  --warning: #4a3a1d;\n  --good: #1f4030;\n  --hatch: #7b838c;\n  --skipped: #ffb300;\n  --diverged: #ff8a80;\n  --shadow: 0 4px 16px rgb(0 0 0 / 55%);\n  color-scheme: dark;\n}\n\n*,\n*::before,\n*::after {\n  box-sizing: border-box;\n}\n\nhtml,\nbody {\n  height: 100%;\n  margin: 0;\n  overflow: hidden;\n}\n\nbody {\n  background: var(--background);\n  color: var(--text);\n  font:\n    13px/1.45 Roboto,\n    'Segoe UI',\n    system-ui,\n    'Helvetica Neue',\n    Arial,\n    sans-serif;\n}\n\n.app {\n  display: flex;\n  flex-direction: column;\n  height: 100%;\n}\n\n:focus-visible {\n  outline: 2px solid var(--focus);\n  outline-offset: 1px;\n}\n\n.visually-hidden {\n  position: absolute;\n  width: 1px;\n  height: 1px;\n  overflow: hidden;\n  clip-path: inset(50%);\n  white-space: nowrap;\n}\n\n.quiet {\n  color: var(--quiet);\n}\n\n.bad {\n  color: var(--bad);\n  font-weight: 600;\n}\n\nbdi {\n  unicode-bidi: isolate;\n}\n";
// src/styles/words.css?inline
var words_default = ".caption {\n  display: flex;\n  flex: none;\n  flex-wrap: wrap;\n  align-items: flex-end;\n  justify-content: space-between;\n  gap: 6px 24px;\n  padding: 10px 14px 8px;\n}\n\n.words {\n  flex: 1 1 320px;\n  min-width: 0;\n}\n\n.words .line {\n  display: flex;\n  align-items: baseline;\n  gap: 16px;\n  overflow: hidden;\n  white-space: nowrap;\n}\n\n.words h1 {\n  margin: 0;\n  font-size: 16px;\n  font-weight: 600;\n}\n\n.words p {\n  margin: 0;\n}\n\n.axis-title button,\n.legend button,\n.tree-head button {\n  height: 22px;\n  padding: 0 8px;\n  font-size: 12px;\n}\n\n.legend {\n  display: flex;\n  flex-wrap: wrap;\n  align-items: center;\n  gap: 4px 12px;\n  min-height: 36px;\n  font-size: 12px;\n}\n\n.key {\n  display: inline-flex;\n  align-items: center;\n  gap: 4px;\n  white-space: nowrap;\n}\n\n.swatch {\n  width: 14px;\n  height: 14px;\n  border-radius: 2px;\n}\n\n.swatch.hatched {\n  border: 1px solid var(--line);\n  background: repeating-linear-gradient(135deg, var(--hatch) 0 1px, transparent 1px 4px);\n}\n\n.ramp {\n  position: relative;\n  width: 230px;\n  height: 34px;\n  margin: 0 14px;\n}\n\n.bar {\n  position: absolute;\n  inset: 3px 0 auto;\n  height: 13px;\n  border-radius: 2px;\n}\n\n.ticks span {\n  position: absolute;\n  top: 18px;\n  color: var(--text);\n  font-size: 11px;\n  white-space: nowrap;\n  transform: translateX(-50%);\n}\n\n.ticks span::before {\n  position: absolute;\n  top: -2px;\n  left: 50%;\n  width: 1px;\n  height: 4px;\n  background: var(--quiet);\n  content: '';\n}\n\n.unit {\n  color: var(--quiet);\n}\n\n.tooltip {\n  position: fixed;\n  z-index: 10;\n  width: max-content;\n  max-width: min(420px, 45vw);\n  padding: 10px 12px;\n  border: 1px solid var(--line);\n  border-radius: 8px;\n  background: var(--background);\n  box-shadow: var(--shadow);\n  font-size: 12px;\n  overflow-wrap: anywhere;\n  pointer-events: none;\n}\n\n.tooltip .path {\n  display: -webkit-box;\n  overflow: hidden;\n  font-weight: 600;\n  -webkit-box-orient: vertical;\n  -webkit-line-clamp: 3;\n}\n\n.tooltip .about,\n.tooltip dt {\n  color: var(--quiet);\n}\n\n.tooltip .headline {\n  margin-top: 6px;\n  font-size: 13px;\n}\n\n.tooltip dl {\n  display: grid;\n  grid-template-columns: max-content minmax(0, 1fr);\n  gap: 1px 10px;\n  margin: 6px 0 0;\n  padding-top: 6px;\n  border-top: 1px solid var(--line);\n}\n\n.tooltip dd {\n  margin: 0;\n  font-variant-numeric: tabular-nums;\n}\n";
// src/tile_store.ts
/** About 98 KB each: 118 MB of tiles at most. */
var CAPACITY = 1200;
/** Requests under way at a time: the next is already being computed while one is transferred. */
var FLIGHTS = 2;
/** Tiles by layer and place: least recently used go first, wanted ones are fetched in batches. */
var TileStore = class {
	load;
	events;
	capacity;
	/** In order of use, the least recent first. */
	entries = /* @__PURE__ */ new Map();
	flights = /* @__PURE__ */ new Set();
	refused = /* @__PURE__ */ new Set();
	wanted = null;
	paused = false;
	constructor(load, events, capacity = CAPACITY) {
		this.load = load;
		this.events = events;
		this.capacity = capacity;
	}
	get(layer, id) {
		const key = keyOf(layer, id);
		const entry = this.entries.get(key);
		if (entry === void 0) return void 0;
		this.entries.delete(key);
		this.entries.set(key, entry);
		return entry.tile;
	}
	/** Asks for what is in view now; what was asked for earlier and has not been sent is forgotten. */
	want(layer, ids) {
		this.wanted = {
			layer,
			ids
		};
		for (const flight of this.flights) if (!sameLayer(flight.layer, layer)) this.cancel(flight);
		this.send();
	}
	/** Nothing that is wanted can still come by itself. */
	get idle() {
		return this.flights.size === 0 && this.missing().length === 0;
	}
	/** New steps from `fromStep` on: tiles that they may change are fetched again when they are next wanted. */
	invalidate(run, grid, fromStep) {
		for (const entry of this.entries.values()) {
			if (entry.run !== run) continue;
			if ((entry.tile.c + 1) * 512 * stepsInCell(grid, entry.tile.level) > fromStep || !isSettled(entry.tile)) entry.stale = true;
		}
		for (const flight of this.flights) if (flight.layer.run === run) flight.overtaken = true;
		this.resume();
	}
	/** Drops a run's tiles, for their rows stand for other nodes now. */
	forget(run) {
		for (const [key, entry] of this.entries) if (entry.run === run) this.entries.delete(key);
		for (const flight of this.flights) if (flight.layer.run === run) this.cancel(flight);
		this.resume();
	}
	/** Tries again what failed. */
	resume() {
		this.paused = false;
		this.refused.clear();
		this.send();
	}
	send() {
		while (this.wanted !== null && !this.paused && this.flights.size < FLIGHTS) {
			const ids = this.missing().slice(0, 15);
			if (ids.length === 0) return;
			this.fly(this.wanted.layer, ids);
		}
	}
	/** Wanted tiles that nobody has asked for yet: absent ones first, then those to be brought up to date. */
	missing() {
		if (this.wanted === null) return [];
		const { layer, ids } = this.wanted;
		const flying = new Set([...this.flights].flatMap((flight) => [...flight.keys]));
		const absent = [];
		const stale = [];
		for (const id of ids) {
			const key = keyOf(layer, id);
			if (flying.has(key) || this.refused.has(key)) continue;
			const entry = this.entries.get(key);
			if (entry === void 0) absent.push(id);
			else if (entry.stale) stale.push(id);
		}
		return [...absent, ...stale];
	}
	async fly(layer, ids) {
		const keys = new Set(ids.map((id) => keyOf(layer, id)));
		const flight = {
			layer,
			keys,
			abort: new AbortController(),
			overtaken: false
		};
		this.flights.add(flight);
		try {
			const tiles = await this.load(layer, ids, flight.abort.signal);
			if (!this.flights.has(flight)) return;
			for (const tile of tiles) this.keep(flight, tile);
			for (const key of keys) if (!this.entries.has(key)) this.refused.add(key);
			this.evict();
		} catch (error) {
			if (!this.flights.has(flight)) return;
			if (error instanceof Unreachable) this.paused = true;
			else for (const key of keys) this.refused.add(key);
			this.events.failed(error);
		} finally {
			if (this.flights.delete(flight)) {
				this.send();
				this.events.changed();
			}
		}
	}
	keep(flight, tile) {
		const key = keyOf(flight.layer, tile);
		if (!flight.keys.has(key)) return;
		this.entries.delete(key);
		this.entries.set(key, {
			tile,
			run: flight.layer.run,
			stale: flight.overtaken
		});
	}
	evict() {
		const keep = Math.max(this.capacity, 2 * (this.wanted?.ids.length ?? 0));
		for (const key of this.entries.keys()) {
			if (this.entries.size <= keep) return;
			this.entries.delete(key);
		}
	}
	cancel(flight) {
		this.flights.delete(flight);
		flight.abort.abort();
	}
};
function keyOf(layer, id) {
	return [
		layer.run,
		layer.stream,
		layer.metric,
		layer.view,
		tileName(id)
	].join("\n");
}
function sameLayer(a, b) {
	return a.run === b.run && a.stream === b.stream && a.metric === b.metric && a.view === b.view;
}
// src/index.ts
/** The routes are one folder above the bundle, under any path prefix. */
function routesUrl() {
	const bundle = import.meta.url;
	return new URL("..", bundle);
}
/** Called by TensorBoard in the tab's frame. */
function render() {
	document.title = "Grad Health";
	document.documentElement.lang = "en";
	const sheet = new CSSStyleSheet();
	sheet.replaceSync(theme_default + controls_default + picture_default + strip_default + words_default);
	document.adoptedStyleSheets = [sheet];
	const theme = watchTheme();
	const api = new Api(routesUrl());
	const store = new Store(new TileStore(async (layer, ids, signal) => {
		const loaded = await api.tiles(layer, ids, signal);
		const known = store.meta.peek()?.revision ?? 0;
		if (loaded.some((tile) => tile.revision > known)) live.poll();
		return loaded;
	}, {
		changed: () => store.tilesArrived.value++,
		failed: (error) => {
			live.failed(error);
		}
	}));
	const pointing = new Pointing(store);
	const live = new Live(store, api, () => document.visibilityState === "visible" && window.innerHeight > 0);
	for (const event of ["resize", "focus"]) window.addEventListener(event, () => {
		live.wake();
	});
	document.addEventListener("visibilitychange", () => {
		live.wake();
	});
	installHooks(store, pointing);
	Q(k$2(App, {
		store,
		pointing,
		figures: new Figures(api, store),
		theme
	}), document.body);
	live.start();
	new NoteFeed(api, store, (error) => {
		live.failed(error);
	}).start();
}
export { render };

//# sourceMappingURL=index.js.map