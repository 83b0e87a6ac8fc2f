// The live tail of the audit trail, over connections that do not last.
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, before, test } from 'node:test'

import { api, at, leave, person, start, stop, world } from './browser.mjs'
import * as tail from './tail.mjs'

before(start)
after(stop)

// road is a way to the server that can be cut: sockets are destroyed, and while it
// is cut nobody gets through. Torn, it is cut in the middle of the next piece of a stream.
async function road() {
  const to = new URL(world.base_url)
  const open = new Set()
  let cut = false
  let tear = null
  const sever = () => {
    cut = true
    open.forEach((s) => s.destroy())
  }
  const server = net.createServer((near) => {
    if (cut) return near.destroy()
    const far = net.connect(to.port, to.hostname)
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one)
      one.on('error', () => {}) // that it is cut is what it is for
      one.on('close', () => { open.delete(one); other.destroy() })
    }
    near.pipe(far)
    far.on('data', (piece) => {
      if (!tear || !piece.includes('\nid: ')) return near.write(piece)
      near.write(piece.subarray(0, piece.length / 2), () => { sever(); tear() })
    })
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: (path) => at(path).replace(world.base_url, `http://${to.hostname}:${server.address().port}`),
    cut: sever,
    torn: () => new Promise((done) => { tear = () => { tear = null; done() } }),
    mend() { cut = false },
    close() {
      sever()
      server.close()
    },
  }
}

let written = 0
// write has so many events of one type happen.
async function write(n) {
  for (let done = 0; done < n; done += 10) {
    await Promise.all(Array.from({ length: Math.min(10, n - done) }, () => api('security', 'POST', '/groups', { name: `tail-${written++}` })))
  }
}

// ends closes a page; that its stream broke is what it had to complain of.
async function ends({ way, page }) {
  way.close()
  tail.forgive(page)
  await leave(page)
}

// watch is an auditor at the live tail of those events, by a road of their own.
async function watch() {
  const way = await road()
  const page = await person('auditor')
  const stream = page.waitForResponse(tail.isStream)
  await page.goto(way.url('/audit/live?type=group.created'))
  await stream
  return { way, page }
}

const { shown } = tail
const whole = (page) => tail.whole(page, api)

test('a tail that is cut again and again while events happen shows each of them once', async () => {
  const { way, page } = await watch()
  await write(3)
  await whole(page)
  for (let i = 0; i < 3; i++) {
    const events = write(20)
    way.cut()
    await write(5)
    way.mend()
    await events
  }
  const all = await whole(page)
  assert.equal((await shown(page)).length, all.length)
  await ends({ way, page })
})

test('an event of which half had come when the tail broke is shown once', async () => {
  const { way, page } = await watch()
  const torn = way.torn()
  await write(10)
  await torn
  way.mend()
  await write(1)
  await whole(page)
  await ends({ way, page })
})

test('more than one batch that happened while the tail was down comes whole', async () => {
  const { way, page } = await watch()
  const before = await page.locator('#rows tr').count()
  const says = page.locator('#tail-says')
  const going = await says.textContent()
  way.cut()
  await says.filter({ hasText: 'Not connected' }).waitFor()
  await write(230)
  way.mend()
  await whole(page)
  await says.filter({ hasText: going }).waitFor()
  assert.equal(await page.locator('#rows tr').count(), before + 230)
  await ends({ way, page })
})

test('a tail that is cut while it is paused goes on where it was', async () => {
  const { way, page } = await watch()
  await write(2)
  await whole(page)
  const pause = page.getByRole('button', { name: 'Pause' })
  await pause.click()
  assert.equal(await pause.getAttribute('aria-pressed'), 'true')
  const before = await shown(page)
  await write(5)
  way.cut()
  await write(5)
  way.mend()
  assert.deepEqual(await shown(page), before)
  await pause.click()
  await whole(page)
  await ends({ way, page })
})

test('a tail whose session ended says so, and asks no more', async () => {
  const { way, page } = await watch()
  await write(1)
  await whole(page)
  const other = await page.context().newPage()
  await other.goto(at('/'))
  await other.getByRole('button', { name: 'Sign out' }).last().click()
  await other.getByText('You are signed out').waitFor()
  await write(1)
  await page.getByText('Your session is over').first().waitFor()
  const asked = []
  page.on('request', (r) => asked.push(r.url()))
  await write(2)
  assert.deepEqual(asked, [])
  await ends({ way, page })
})
