// A provider that leads on to another one, as those do that trust a company's own.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'

import { at, person, start, stop } from './browser.mjs'

let seen = 0
let other

before(async () => {
  await start()
  other = createServer((req, res) => { // on a third host: it leads back at once
    seen++
    res.writeHead(303, { location: new URL(req.url, 'http://third').searchParams.get('back') }).end()
  })
  await new Promise((done) => other.listen(0, '127.0.0.1', done))
})
after(async () => {
  await stop()
  other?.close()
})

for (const javaScriptEnabled of [true, false]) {
  test(`a provider leads on to another, ${javaScriptEnabled ? 'with' : 'without'} scripts`, async () => {
    seen = 0
    const page = await person('', { javaScriptEnabled })
    await page.route('**/authorize?*', (route) => {
      const location = `http://localhost:${other.address().port}/?back=${encodeURIComponent(route.request().url())}`
      return route.fulfill({ status: 303, headers: { location } })
    }, { times: 1 })
    await page.goto(at('/'))
    await page.getByRole('button', { name: 'Sign in with demo' }).click()
    await page.getByRole('button', { name: /^alice\b/ }).click()
    await page.waitForURL(at('/'))
    assert.equal(seen, 1, 'the third host was not reached')
    assert.deepEqual(page.complaints, [])
    await page.context().close()
  })
}
