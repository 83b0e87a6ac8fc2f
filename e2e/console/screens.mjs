// Which screens there are, found as people find them: by following links. Whoever
// sees a screen, it is looked at if something is on it that was on none before.
import assert from 'node:assert/strict'

import { at, newPage, root, world } from './browser.mjs'

// patterns are the addresses of all screens, as the server has them: /connections/:name.
const patterns = world.screens.map((pattern) => ({
  pattern,
  fits: new RegExp(`^${pattern.replace(/:[a-z]+/g, '[^/]+')}$`),
  fixed: pattern.split('/').filter((s) => !s.startsWith(':')).length,
})).sort((a, b) => b.fixed - a.fixed)

// patternOf is the screen at an address; undefined for what is no page of ours.
export function patternOf(href) {
  const url = new URL(href)
  if (url.origin !== new URL(world.base_url).origin || !url.pathname.startsWith(`${root}/`)) return undefined
  return patterns.find((p) => p.fits.test(url.pathname.slice(root.length)))?.pattern
}

// kindOf is the same for addresses of which a few are enough.
const kindOf = (href) => `${patternOf(href)}?${[...new URL(href).searchParams.keys()].sort()}`

// How many addresses of one kind, and of one screen, a person opens: things are in
// different states.
const ofKind = 2
const ofPattern = 6

// downloads are no pages.
const downloads = ['/audit/export/:file']

// crawl opens every screen that links lead a person to, from everything in their
// menu on, and the addresses given. A screen is its address, its pattern, what is on
// it, how many bytes it has, and how it was answered.
export async function crawl(page, also = []) {
  const reader = await newPage()
  const seen = new Map()
  const kinds = new Map()
  const queue = []
  const add = (href, sure) => {
    const clean = href.split('#')[0]
    const kind = kindOf(clean)
    if (seen.has(clean) || !patternOf(clean) || downloads.includes(patternOf(clean))) return
    const pattern = patternOf(clean)
    if (!sure && ((kinds.get(kind) ?? 0) >= ofKind || (kinds.get(pattern) ?? 0) >= ofPattern)) return
    for (const k of [kind, pattern]) kinds.set(k, (kinds.get(k) ?? 0) + 1)
    seen.set(clean, undefined)
    queue.push(clean)
  }
  for (const path of ['/', ...also]) add(at(path), true)
  for (let href; (href = queue.shift()); ) {
    const res = await page.request.get(href)
    const html = await res.text()
    const { links, parts } = await reader.evaluate(read, { html, base: href })
    // Whoever is led elsewhere sees that screen; it is found under its own address.
    const led = res.url() !== href && patternOf(res.url()) !== patternOf(href)
    seen.set(href, { href, pattern: patternOf(href), parts, bytes: Buffer.byteLength(html), status: res.status(), led })
    links.forEach((l) => add(l, false))
  }
  await reader.context().close()
  return [...seen.values()]
}

// read takes a page apart, in a browser: where it leads, and what is on it, which is
// every kind of element with what it stands in, and the words of what can be pressed.
function read({ html, base }) {
  const doc = new DOMParser().parseFromString(html, 'text/html')
  const links = [...doc.querySelectorAll('nav a[href], main a[href], .me a[href]')].map((a) => new URL(a.getAttribute('href'), base).href)
  const kind = (e) => `${e.localName}.${e.className.baseVal ?? e.className} ${e.getAttribute('role') ?? ''} ${e.type ?? ''}`
  const parts = [...(doc.querySelector('main')?.querySelectorAll('*') ?? [])].map((e) => {
    const pressed = e.matches('button, summary, a.button') ? e.textContent.trim() : ''
    return `${kind(e.parentElement)} > ${kind(e)} ${pressed}`
  })
  return { links, parts: [...new Set(parts)] }
}

// distinct is what is to be looked at of all that people see. The name of a picture
// is that of its screen and of who sees it.
export function distinct(byPerson, known = new Map()) {
  const out = []
  for (const [person, screens] of byPerson) {
    const numbers = new Map()
    for (const s of screens) {
      assert.equal(s.status, 200, `${person || 'a stranger'} at ${s.href}`)
      const seen = known.get(s.pattern) ?? new Set()
      if (s.led || s.parts.every((p) => seen.has(p))) continue
      known.set(s.pattern, new Set([...seen, ...s.parts]))
      const n = (numbers.get(s.pattern) ?? 0) + 1
      numbers.set(s.pattern, n)
      const name = s.pattern.replace(/[^a-z]+/g, '-').replace(/^-|-$/g, '') || 'overview'
      out.push({ ...s, person, name: `${name}_${person || 'stranger'}${n > 1 ? `-${n}` : ''}` })
    }
  }
  return out
}
