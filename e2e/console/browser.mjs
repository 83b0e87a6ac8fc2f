// A real Chromium, and people in it.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { chromium } from 'playwright-core'

export const world = JSON.parse(process.env.SALLYPORT_CONSOLE)
export const at = (path) => `${world.base_url}/console/orgs/default${path}`

const places = ['/usr/lib/chromium/chromium-headless-shell', '/usr/bin/chromium-headless-shell', '/usr/bin/chromium']
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let browser

export async function start() {
  const executablePath = places.find(existsSync)
  assert.ok(executablePath, 'Chromium is missing; scripts/setup installs it')
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

export const stop = () => browser?.close()

// person is somebody signed in by the demo's OpenID provider, in a browser of
// their own. What the browser complains of is kept in page.complaints.
export async function person(name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  page.complaints = []
  page.on('pageerror', (e) => page.complaints.push(`${page.url()}: ${e.message}`))
  page.on('console', (m) => {
    if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) page.complaints.push(`${page.url()}: ${m.text()}`)
  })
  if (name) await signIn(page, name)
  return page
}

export async function signIn(page, name, path = '/') {
  await page.goto(at(path))
  await page.getByRole('button', { name: 'Sign in with demo' }).click()
  await page.getByRole('button', { name: new RegExp(`^${name}\\b`) }).click()
  await page.waitForURL((u) => u.href.startsWith(at('/')) && !u.pathname.endsWith('/sign-in'))
}

// violations is what axe finds wrong on the page as it is. It is run in a world of
// its own, so that the page's own policy need not allow it.
export async function violations(page, rules) {
  const only = rules ?? ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  const session = await page.context().newCDPSession(page)
  const { frameTree } = await session.send('Page.getFrameTree')
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' })
  await session.send('Runtime.evaluate', { expression: axe, contextId: executionContextId })
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    contextId: executionContextId, awaitPromise: true, returnByValue: true,
    expression: `axe.run(document, {resultTypes: ['violations'], runOnly: ${JSON.stringify({ type: rules ? 'rule' : 'tag', values: only })}}).then(r => r.violations.map(v => v.id + ': ' + v.help + '\\n    ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join('\\n    ')))`,
  })
  await session.detach()
  assert.ok(!exceptionDetails, exceptionDetails?.text)
  return result.value
}

// api is a request to /v1 as a person, by their API token.
export async function api(name, method, path, body, headers = {}) {
  const res = await fetch(`${world.issuer}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${world.tokens[name]}`, ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
    body: body ? JSON.stringify(body) : undefined,
  })
  const text = await res.text()
  assert.ok(res.ok, `${method} ${path} by ${name}: ${res.status} ${text}`)
  return text ? JSON.parse(text) : {}
}

// hostile is what strangers write where their words are shown.
export const hostile = '<img src=x onerror="window.owned=1">{{7*7}}'

// mint is a proof of a job of the demo provider.
export async function mint(path, claims) {
  const res = await fetch(world.provider.mint_url + path, { method: 'POST', body: JSON.stringify(claims) })
  return (await res.json()).token
}

export async function exchange(connection, token) {
  return fetch(`${world.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', connection, subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    }),
  })
}
