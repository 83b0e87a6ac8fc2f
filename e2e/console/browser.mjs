// A real Chromium, and people in it.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { chromium } from 'playwright-core'

export const world = JSON.parse(process.env.SALLYPORT_CONSOLE)
export const root = '/console/orgs/default'
export const at = (path) => `${world.base_url}${root}${path}`

const places = ['/usr/lib/chromium/chromium-headless-shell', '/usr/bin/chromium-headless-shell', '/usr/bin/chromium']
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const wide = { width: 1280, height: 900 }
export const phone = { width: 390, height: 844 }

let browser

export async function start() {
  const executablePath = places.find(existsSync)
  assert.ok(executablePath, 'Chromium is missing; scripts/setup installs it')
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
}

export const stop = () => browser?.close()

// newPage is a page in a browser of its own. What the browser complains of is
// kept in page.complaints: scripts that failed, and whatever the page's policy
// did not let happen.
export async function newPage(options = {}) {
  const context = await browser.newContext({ viewport: wide, reducedMotion: 'reduce', ...options })
  return addPage(context)
}

// addPage is one more page in the same browser.
export async function addPage(context) {
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  page.complaints = []
  page.on('pageerror', (e) => page.complaints.push(`${page.url()}: ${e.message}`))
  page.on('console', (m) => {
    if (m.type() === 'error' && !/Failed to load resource/.test(m.text())) page.complaints.push(`${page.url()}: ${m.text()}`)
  })
  return page
}

// person is somebody signed in by the demo's OpenID provider, in a browser of their own.
export async function person(name, options = {}) {
  const page = await newPage(options)
  if (name) await signIn(page, name)
  return page
}

export async function signIn(page, name, path = '/') {
  await page.goto(at(path))
  await pick(page, name)
  await page.waitForURL((u) => u.href.startsWith(at('/')) && !u.pathname.endsWith('/sign-in'))
}

// pick is a person at the sign-in, wherever it leads back to.
export async function pick(page, name) {
  await page.getByRole('button', { name: 'Sign in with demo' }).click()
  await page.getByRole('button', { name: new RegExp(`^${name}\\b`) }).click()
}

// authenticator gives the page a device that has keys; verifies tells whether it
// makes sure who uses it.
export async function authenticator(page, verifies = true) {
  const session = await page.context().newCDPSession(page)
  await session.send('WebAuthn.enable')
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: verifies, automaticPresenceSimulation: true },
  })
  return {
    keys: async () => (await session.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    add: (credential) => session.send('WebAuthn.addCredential', { authenticatorId, credential }),
    verifies: (is) => session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: is }),
  }
}

// leave ends what people did: nothing was complained of in their browsers.
export async function leave(...pages) {
  for (const page of pages) {
    assert.deepEqual(page.complaints, [])
    await page.context().close()
  }
}

const everything = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

// looker is axe beside a page, in a world of its own, so that the page's own policy
// need not allow it. It is there on whatever the page opens from then on.
export async function looker(page) {
  const session = await page.context().newCDPSession(page)
  await session.send('Page.enable')
  await session.send('Page.addScriptToEvaluateOnNewDocument', { source: axe, worldName: 'axe' })
  return {
    // violations is what axe finds wrong on the page as it is: by all rules, or by these.
    async violations(rules) {
      const { frameTree } = await session.send('Page.getFrameTree')
      const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' })
      const options = {
        resultTypes: ['violations'], preload: false, iframes: false, selectors: false,
        runOnly: { type: rules ? 'rule' : 'tag', values: rules ?? everything },
      }
      const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
        contextId, awaitPromise: true, returnByValue: true,
        expression: `axe.run(document, ${JSON.stringify(options)}).then(r => r.violations.map(v => v.id + ': ' + v.help + '\\n    ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)).join('\\n    ')))`,
      })
      assert.ok(!exceptionDetails, exceptionDetails?.exception?.description)
      return result.value
    },
    // picture is the whole page, PNG.
    async picture() {
      const { cssContentSize } = await session.send('Page.getLayoutMetrics')
      const { data } = await session.send('Page.captureScreenshot', {
        format: 'png', optimizeForSpeed: true, captureBeyondViewport: true, clip: { ...cssContentSize, scale: 1 },
      })
      return Buffer.from(data, 'base64')
    },
  }
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
