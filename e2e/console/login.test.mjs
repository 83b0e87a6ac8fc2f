// A program that logs in, and the person who lets it in, or not.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'

import { at, leave, person, start, stop, world } from './browser.mjs'

let home

before(async () => {
  await start()
  home = await mkdtemp(join(tmpdir(), 'sallyport-home-'))
})
after(async () => {
  await stop()
  await rm(home, { recursive: true })
})

// sallyport is the real program; link is what it asks to open, ended how it ended.
function sallyport(...args) {
  const child = spawn(join(world.programs, 'sallyport'), args, { env: { HOME: home, SALLYPORT_ADDR: world.base_url } })
  let out = ''
  let says = ''
  child.stdout.on('data', (b) => { out += b })
  const link = new Promise((done) => createInterface(child.stderr).on('line', (line) => {
    says += `${line}\n`
    const [found] = line.match(/http\S+\?user_code=[A-Z-]+/) ?? []
    if (found) done(found)
  }))
  const ended = new Promise((done) => child.on('close', (code) => done({ code, out, says })))
  return { link, ended }
}

// asked is a login that waits, and its page.
async function asked(page) {
  const login = sallyport('login')
  const link = await Promise.race([login.link, login.ended.then((e) => assert.fail(e.says))])
  await page.goto(link)
  await page.getByText(new URL(link).searchParams.get('user_code'), { exact: true }).waitFor()
  assert.match(await page.locator('main .facts').innerText(), /Asks from\s+(127\.0\.0\.1|::1)/)
  return login
}

test('alice lets the program in that she started; it is her until she ends it', async () => {
  const page = await person('alice')
  const login = await asked(page)
  await page.getByRole('button', { name: 'Let it in' }).click()
  await page.getByText('The program is let in').waitFor()
  const { code, says } = await login.ended
  assert.equal(code, 0, says)
  const who = await sallyport('whoami', '-o', 'json').ended
  assert.equal(JSON.parse(who.out).person, 'alice', who.says)
  await page.goto(at('/sessions'))
  await page.getByRole('button', { name: /^End the program from/ }).click()
  await page.getByText('You let no program in').waitFor()
  const gone = await sallyport('whoami').ended
  assert.notEqual(gone.code, 0)
  assert.match(gone.says, /sallyport login/)
  await leave(page)
})

test('a program that is refused is told so, and is nobody', async () => {
  const page = await person('alice')
  const login = await asked(page)
  await page.getByRole('button', { name: 'Refuse' }).click()
  await page.getByText('The program was refused').waitFor()
  const { code, says } = await login.ended
  assert.notEqual(code, 0)
  assert.match(says, /refused|denied/i)
  assert.notEqual((await sallyport('whoami').ended).code, 0)
  await page.goto(at('/device?user_code=BCDF-GHJK'))
  await page.getByText('no program waits with it').first().waitFor()
  await leave(page)
})
