// What no link leads to: the answers to forms, refusals, what is shown once, and
// what others did meanwhile. Everything there has a name as long as names may be.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { addPage, api, at, authenticator, exchange, leave, looker, mint, newPage, person, phone, pick, start, stop, wide, world } from './browser.mjs'
import { production } from './production.mjs'

const longest = 63
const name = (word) => `${word}-`.padEnd(longest, 'w')
const [ci, draft, open, project, server, account, other, group, deciders, policy, rule, type, joining, free, member] =
  ['ci', 'draft', 'open', 'project', 'server', 'account', 'other', 'group', 'deciders', 'policy', 'rule', 'type', 'joining', 'free', 'member'].map(name)
const role = 'role-'.padEnd(29, 'w') // the Linux user wl_NAME
const secret = `${project}/${name('db')}/password`
const method = (account) => `${policy}/${rule}/ssh:${account}`

const claims = {
  iss: 'https://gitlab.com', aud: world.issuer, namespace_path: name('acme'), project_path: `${name('acme')}/${name('app')}`,
  sub: `project_path:${name('acme')}/${name('app')}:ref_type:branch:ref:main`,
}

let p
before(async () => {
  await start()
  p = await production({ devops: 'devops_admin', security: 'security_admin' }, ['default', name('organisation')])
  await furnish()
})
after(async () => {
  await stop()
  await p?.stop()
})

async function furnish() {
  const settings = { domain: 'gitlab.com', group: name('acme'), project: name('app') }
  const match = (version) => ({ 'if-match': `"${version}"` })
  for (const name of [ci, draft]) await api('devops', 'POST', '/connections', { name, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings })
  await api('security', 'POST', `/connections/${ci}/activate`, {}, match(1))
  await api('devops', 'POST', '/connections', { name: open, provider: 'generic_jwt', jwks_url: world.provider.jwks_url, conditions: [{ claim: 'iss', operator: 'equals', value: claims.iss }] })
  assert.equal((await exchange(ci, await mint('/gitlab', claims))).status, 200)
  assert.equal((await exchange(ci, await mint('/gitlab', { ...claims, project_path: `${name('acme')}/${name('else')}` }))).status, 400)
  await api('owner', 'POST', '/people', { name: member, roles: ['member'], email: `${'w'.repeat(60)}@example.com` })
  for (const [one, who] of [[group, 'alice'], [deciders, 'bob'], [free, 'bob']]) {
    await api('security', 'POST', '/groups', { name: one, description: name('description') })
    await api('security', 'POST', `/groups/${one}/members`, { person: who })
    await api('security', 'POST', `/groups/${one}/members`, { person: member })
  }
  await api('resource', 'POST', '/projects', { name: project, checkout: { required: false } })
  await api('resource', 'POST', '/servers', {
    name: server, project, address: `${'w'.repeat(63)}.example.com`, labels: { [name('env')]: name('prod') },
    accounts: [account, other].map((name) => ({ name, kind: 'vaulted', username: 'root' })),
  })
  await api('resource', 'PUT', `/servers/${server}/accounts/${account}/password`, { value: 'battery staple' })
  await api('resource', 'POST', '/secrets', { path: secret, project, value: 'W'.repeat(400) })
  await api('security', 'POST', '/request-types', { name: type, kind: 'access', steps: [{ name: name('step'), approvers: { group: deciders } }] })
  await api('security', 'POST', `/request-types/${type}/publish`, undefined, match(1))
  await api('security', 'POST', '/request-types', { name: joining, kind: 'group', groups: [group], max_seconds: 86400, steps: [{ name: name('step'), approvers: { group: deciders } }] })
  await api('security', 'POST', `/request-types/${joining}/publish`, undefined, match(1))
  await api('security', 'POST', '/roles', { name: role, requirements: [{ connection: ci, conditions: [{ claim: 'ref', operator: 'equals', value: name('main') }] }] })
  await api('security', 'POST', '/policies', {
    name: policy, principals: { groups: [group], roles: [role] },
    rules: [
      {
        name: rule, resource: { server }, privileges: [{ type: 'ssh', accounts: [account, other] }],
        conditions: [{ type: 'access_request', request_type: type, approval_seconds: 900 }], break_glass: { access_seconds: 600 },
      },
      { name: name('values'), resource: { folder: project }, privileges: [{ type: 'secret', actions: ['list', 'reveal'] }] },
    ],
  })
  await api('security', 'POST', `/policies/${policy}/publish`, undefined, match(1))
}

const unfold = (page) => page.locator('main details').evaluateAll((all) => all.forEach((d) => { d.open = true }))

// sends fills in fields of the page's form, by their names, and presses a button,
// whatever the browser thinks of it.
const sends = (button, fields = {}) => async (page) => {
  await unfold(page)
  for (const [name, value] of Object.entries(fields)) await page.locator(`main [name="${name}"]`).last().fill(value)
  await page.locator('main form').evaluateAll((all) => all.forEach((f) => { f.noValidate = true }))
  await page.locator('main').getByRole('button', { name: button, exact: true }).first().click()
}

// narrow is the widths at which nothing may be wider than the window; at the last,
// what is pressed is large enough.
const narrow = [phone, { width: 320, height: 568 }]

// measured is run in the page: how much wider than the window it is, and what is.
function measured() {
  const edge = document.documentElement.clientWidth
  const over = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > edge + 1 && !e.closest('.readers'))
  return { across: document.documentElement.scrollWidth - edge, who: over.at(-1)?.outerHTML.slice(0, 120) }
}

// looks holds a page to what every page is held to, as it is and with all that is
// folded open. Nothing is loaded meanwhile: what a form was answered would be gone.
async function looks(page, look, what, problems) {
  const tell = (how, all) => problems.push(...all.map((v) => `${what}: ${how}: ${v}`))
  await unfold(page)
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme })
    tell(colorScheme, await look.violations())
  }
  for (const size of narrow) {
    await page.setViewportSize(size)
    const { across, who } = await page.evaluate(measured)
    if (across > 0) tell(size.width, [`it is ${across} pixels wider than the window: ${who}`])
  }
  tell('narrow', await look.violations(['target-size']))
  await page.setViewportSize(wide)
  await page.emulateMedia({ colorScheme: 'light' })
}

// goes has somebody bring about one state after the other: where they are, what they
// do there, and what they then read.
async function goes(page, states, place = at) {
  const look = await looker(page)
  const problems = []
  for (const [what, path, does, reads] of states) {
    if (path) await page.goto(place(path))
    await does?.(page)
    await page.locator('main').getByText(reads).first().waitFor().catch(async (e) => assert.fail(`${what}: ${e.message.split('\n')[0]}: ${await page.locator('main').innerText()}`))
    await looks(page, look, what, problems)
  }
  assert.deepEqual(problems, [])
}

// edits is somebody else who saves a connection first.
const edits = async (who, name) => {
  const { provider, settings, jwks_url: keys, conditions, version } = await api(who, 'GET', `/connections/${name}`)
  await api(who, 'PUT', `/connections/${name}`, { provider, settings, jwks_url: keys, conditions, description: name + version }, { 'if-match': `"${version}"` })
}

test('drafting and testing', async () => {
  const page = await person('devops')
  const start = { name: name('next'), 'settings.owner': 'a'.repeat(39), 'settings.repository': name('repository').slice(0, 60) }
  const test = (claims) => async (page) => sends('Test', { token: await mint('/gitlab', claims) })(page)
  await goes(page, [
    ['the wizard, refused', '/new-connection?provider=github', sends('Show the conditions', { ...start, 'settings.owner_id': 'no number' }), 'expected is a number'],
    ['the wizard\'s answer', '/new-connection?provider=github', sends('Show the conditions', start), 'What is written'],
    ['one more condition', '', sends('Add a condition'), 'Save as draft'],
    ['a draft, refused', '', sends('Save as draft', { name: ci }), 'A connection of this name exists'],
    ['a token that is accepted', `/connections/${draft}/test`, test(claims), 'This token would be accepted'],
    ['a token that is refused', '', test({ ...claims, namespace_path: name('else') }), 'This token would be refused'],
    ['no token', '', sends('Test', { token: 'W'.repeat(200) }), 'token'],
    ['an edit that is looked at', `/connections/${draft}/edit`, sends('Look again', { description: 'W'.repeat(400) }), 'What is written'],
    ['an edit while somebody else saved', `/connections/${draft}/edit`, async (page) => {
      await edits('devops', draft)
      await sends('Save', { description: 'as the second one has it' })(page)
    }, 'devops saved another version'],
    ['a deletion, refused', `/connections/${open}/delete`, sends('Delete', { name: 'another' }), 'Type the name'],
    ['roles that match', '/roles/-/match', async (page) => {
      await page.locator('[name=connection]').selectOption(ci)
      await sends('Ask', { claims: JSON.stringify({ ref: name('next') }), identity: claims.sub })(page)
    }, role],
    ['roles that cannot be told', '', sends('Ask', { claims: '{' }), 'this is no JSON'],
  ])
  await leave(page)
})

test('Back leads from what the wizard wrote to what was typed, by its button and by the browser\'s', async () => {
  const page = await person('devops')
  const typed = () => page.locator('[name="name"], [name="settings.owner"]').evaluateAll((all) => all.map((e) => e.value))
  const starts = async () => {
    await page.goto(at('/new-connection?provider=github'))
    await sends('Show the conditions', { name: 'ci', 'settings.owner': 'acme' })(page)
    await page.getByRole('heading', { name: 'look at the conditions' }).waitFor()
  }
  for (const back of [() => page.getByRole('link', { name: 'Back', exact: true }).click(), () => page.goBack()]) {
    await starts()
    await back()
    await page.getByRole('button', { name: 'Show the conditions' }).waitFor()
    assert.deepEqual(await typed(), ['ci', 'acme'])
  }
  await leave(page)
})

test('a laptop shows the whole menu, and a lower window where one is, also without scripts', async () => {
  for (const javaScriptEnabled of [true, false]) {
    const page = await person('security', { javaScriptEnabled, viewport: { width: 1366, height: 768 } })
    const within = async () => {
      const [nav, here] = await Promise.all(['.side nav', '.side [aria-current]'].map((e) => page.locator(e).boundingBox()))
      assert.ok(here.y >= nav.y && here.y + here.height <= nav.y + nav.height, `it is at ${here.y}, in a menu from ${nav.y} to ${nav.y + nav.height}`)
    }
    await page.goto(at('/settings'))
    assert.ok(await page.locator('.side nav').evaluate((e) => e.scrollHeight <= e.clientHeight), 'the menu has to be scrolled')
    await within()
    await page.setViewportSize({ width: 1366, height: 560 })
    await page.goto(at('/settings'))
    await within()
    await leave(page)
  }
})

test('reviewing, and saying who may what', async () => {
  const page = await person('security')
  const look = (document) => sends('Check and preview', { document })
  const text = (...lines) => lines.join('\n')
  const rules = ['rules:', `  - { name: ${rule}, resource: { server: ${server} }, privileges: [{ type: ssh, accounts: [${account}] }] }`]
  await goes(page, [
    ['an activation of which a warning is not accepted', `/connections/${open}/activate`, sends('Activate'), 'tick every warning'],
    ['an activation of what changed meanwhile', `/connections/${open}/activate`, async (page) => {
      await edits('devops', open)
      await sends('Activate')(page)
    }, 'the connection was changed while you looked at it'],
    ['a policy that is looked at', '/policies/-/new', look(text(`name: ${name('next')}`, `principals: { groups: [${group}] }`, ...rules)), 'This is in order'],
    ['a policy for nobody that is there', '', look(text(`name: ${name('next')}`, `principals: { groups: [${name('nobody')}] }`, ...rules)), name('nobody')],
    ['a policy that is no document', '', look(text('name: [', 'rules')), 'line'],
    ['a policy that somebody else saved', `/policies/${policy}/edit`, async (page) => {
      const { etag, version, ...spec } = await api('security', 'GET', `/policies/${policy}`)
      const { principals, rules } = spec
      await api('security', 'PUT', `/policies/${policy}`, { principals, rules, description: name('theirs') }, { 'if-match': `"${version}"` })
      await sends('Save')(page)
    }, 'Somebody else saved this'],
    ['what somebody reaches', `/policies/-/reach?person=${member}`, null, server],
    ['who reaches a server', `/policies/-/reach?resource=server/${server}`, null, 'Groups that rules about it are for'],
    ['what a workload reaches', `/policies/-/reach?connection=${ci}&identity=${encodeURIComponent(claims.sub)}&resource=server/${server}`, null, 'No rule lets them in'],
    ['what cannot be told', '/policies/-/reach', sends('Ask', { 'subject.identity': claims.sub, 'subject.claims': '{' }), 'say whom or what'],
    ['a member that is not there', `/groups/${free}`, async (page) => {
      await page.locator('#f-person').evaluate((e) => { e.append(new Option('nobody', 'nobody')); e.value = 'nobody' })
      await sends('Add')(page)
    }, 'there is no such person'],
    ['a group, refused', '/groups/-/new', sends('Save', { name: 'No Name' }), 'a name is 1 to 63'],
    ['a request type, refused', '/request-types/-/new', look(text(`name: ${name('next')}`, 'kind: access', 'steps: []')), 'step'],
    ['a role, refused', '/roles/-/new', look(text(`name: ${name('next')}`, 'requirements: []')), 'at least one requirement'],
    ['keys that were rotated', '/keys/rotate', sends('Rotate'), 'Keys'],
    ['a deactivation', `/connections/${ci}/deactivate`, sends('Deactivate'), 'Deactivated'],
  ])
  await leave(page)
})

test('keeping servers and secrets', async () => {
  const page = await person('resource')
  const at = (path) => `${path}?path=${encodeURIComponent(secret)}`
  await goes(page, [
    ['a project, refused', '/projects/-/new', sends('Save', { name: project }), 'There is'],
    ['a server, refused', '/servers/-/new', sends('Check and preview', { document: `name: ${name('next')}\nproject: ${name('none')}\naddress: "no address"\naccounts: []` }), name('none')],
    ['a secret, refused', '/secrets/-/new', sends('Add', { path: 'NO', value: 'one' }), 'Path'],
    ['a new value', at('/secrets/-/one'), sends('Put', { value: 'two' }), 'Version 2'],
    ['a version that is not destroyed', at('/secrets/-/one/destroy') + '&version=1', sends('Destroy', { confirm: 'another' }), 'Type'],
    ['a password that is not destroyed', `/servers/${server}/accounts/${account}/destroy?version=1`, sends('Destroy', { confirm: 'another' }), 'Type'],
    ['a secret that is not deleted', at('/secrets/-/one/delete'), sends('Delete', { confirm: 'another' }), 'Type'],
  ])
  await leave(page)
})

// waits is a program that waits for somebody to let it in.
async function waits() {
  const res = await fetch(`${world.issuer}/device_authorization`, { method: 'POST', headers: { 'user-agent': 'W'.repeat(200) }, body: new URLSearchParams({ client_id: 'sallyport-cli' }) })
  return `/device?user_code=${(await res.json()).user_code}`
}

test('asking, deciding, and letting programs in', async () => {
  const page = await person('alice')
  const resource = `resource=server/${server}&method=${encodeURIComponent(method(account))}&type=${type}`
  const values = `/access/resource?resource=${encodeURIComponent(`secret/${secret}`)}`
  await authenticator(page, false)
  await goes(page, [
    ['a request without a reason', `/access/request?${resource}`, sends('Ask', { justification: '' }), 'Why'],
    ['a request that is too long', '', sends('Ask', { justification: 'W'.repeat(3000) }), 'Why'],
    ['a request that was raised', '', sends('Ask', { justification: name('because') }), name('because')],
    ['the way, asked for', `/access/resource?resource=server/${server}`, null, 'waits to be approved'],
    ['a membership, refused', `/requests/membership?type=${joining}`, sends('Ask', { until: '2001-01-01T00:00' }), 'Until'],
    ['glass that is not broken', `/access/break-glass?resource=server/${server}&method=${encodeURIComponent(method(other))}`, sends('Break glass', { reason: '' }), 'Why'],
    ['glass that is broken', '', sends('Break glass', { reason: name('because') }), 'You broke glass'],
    ['a delegation, refused', '/delegation', sends('Delegate', { until: '2001-01-01T00:00' }), 'Until'],
    ['a secret, revealed', values, sends('Reveal'), 'Revealed'],
    ['a program', await waits(), null, 'Calls itself'],
    ['a program that is let in', '', sends('Let it in'), 'is let in'],
    ['my sessions and programs', '/sessions', null, 'Programs'],
    ['another program', await waits(), null, 'Calls itself'],
    ['a program that is refused', '', sends('Refuse'), 'was refused'],
    ['a program that nobody knows', '/device?user_code=BCDF-GHJK', null, 'no program waits'],
    ['a passkey that does not come', '/passkeys/new', sends('Add it', { name: name('key') }), 'No passkey was used'],
    ['a proof that it is another', '/step-up', (page) => pick(page, 'bob'), 'sign_in.other_person'],
    ['a proof that it is me', '/step-up/done', null, 'For five minutes'],
    ['a page for others', '/people', null, 'needs the role'],
    ['nothing', `/${name('nothing')}`, null, 'page.not_found'],
    ['somebody who was never there', '/requests/01M833HJGR86X76NT5VV24DJR2', null, 'request'],
  ])
  const bob = await person('bob')
  const mine = (await api('alice', 'GET', '/access/requests')).requests
  const [first] = mine.filter((r) => r.justification === name('because')).map((r) => r.id)
  const [glass] = (await api('auditor', 'GET', '/access/break-glass')).break_glass.map((b) => b.id)
  await goes(bob, [
    ['an approval of what was taken back', `/requests/${first}`, async (bob) => {
      await api('alice', 'POST', `/access/requests/${first}/cancel`)
      await sends('Approve', { comment: name('yes') })(bob)
    }, 'cancelled'],
    ['a review, refused', `/break-glass/${glass}`, sends('It is accounted for', { comment: 'W'.repeat(3000) }), 'Comment'],
    ['a review', '', sends('It is accounted for', { comment: name('done') }), name('done')],
  ])
  await leave(page, bob)
})

test('inviting people', async () => {
  const page = await person('owner')
  await goes(page, [
    ['somebody, refused', '/people/-/new', sends('Save', { name: 'No Name', email: 'none' }), 'email'],
    ['an invitation', `/people/${member}`, sends('Invite by a link'), 'is shown this once'],
    ['somebody who is invited', `/people/${member}`, null, 'Groups'],
  ])
  await leave(page)
})

test('the live tail: going, paused, and over', async () => {
  const page = await person('auditor')
  const happens = (word) => api('security', 'POST', '/groups', { name: name(word) })
  const states = [
    ['the tail', '/audit/live', async (page) => {
      await page.locator('#tail-says').getByText('New events appear').waitFor()
      await happens('first')
    }, name('first')],
    ['a tail that is paused', '', async (page) => {
      await page.getByRole('button', { name: 'Pause' }).click()
      await page.locator('[data-pause][aria-pressed=true]').waitFor()
    }, name('first')],
    ['a tail that is over', '', async (page) => {
      await page.getByRole('button', { name: 'Pause' }).click()
      const other = await addPage(page.context())
      await other.goto(at('/'))
      await other.getByRole('button', { name: 'Sign out' }).last().click()
      await other.getByText('You are signed out').waitFor()
      await other.close()
      await happens('second')
    }, 'Your session is over'],
  ]
  await goes(page, states)
  page.complaints = page.complaints.filter((c) => !c.includes('htmx:sse:error'))
  await leave(page)
})

test('filters that cannot be read, and what is not there', async () => {
  const page = await person('auditor')
  await goes(page, [
    ['a filter, refused', `/audit?since=${name('long')}&connection=${ci}`, null, 'since'],
    ['no events', `/audit?q=${name('none')}&connection=${ci}`, null, 'No events here'],
    ['denials', `/denials?connection=${ci}`, null, ci],
    ['a workload that was never seen', `/workloads?identity=${name('none')}&connection=${ci}`, null, 'Never seen'],
    ['an event that is not there', '/audit/events/999999', null, 'page.not_found'],
  ])
  const stranger = await newPage()
  await goes(stranger, [
    ['nothing', `${world.base_url}/console/${name('nothing')}`, null, 'page.not_found'],
    ['an answer of no provider', `${world.base_url}/console/callback?state=${name('state')}&error=${name('error')}`, null, 'sign_in'],
  ], (url) => url)
  await leave(page, stranger)
})

test('proofs that are too old, sessions that are over, and sign-ins that are denied', async () => {
  const page = await newPage({ ignoreHTTPSErrors: true })
  await p.signIn(page, 'security', 3600)
  const group = { name: name('group'), description: name('description') }
  await goes(page, [
    ['an activation that asks for a proof', `/passkeys/new`, null, 'Show that it is you'],
    ['a form that asks for a proof in another tab', '/policies/-/new', sends('Save'), 'in another tab'],
    ['a form of a session that is over', '/groups/-/new', async (page) => {
      await page.context().clearCookies()
      await sends('Save', group)(page)
    }, 'Your session is over'],
    ['a sign-in that is denied', '/sign-in', async (page) => {
      p.idp.next = 'mallory'
      await page.getByRole('button', { name: 'Sign in with company' }).click()
    }, 'sign_in.unknown'],
    ['a link that opens nothing', '/enrol', null, 'Register a passkey'],
  ], p.at)
  await goes(page, [
    ['organisations', '/console/', null, 'Which organisation'],
  ], (path) => new URL(path, p.at('/')).href)
  await leave(page)
})
