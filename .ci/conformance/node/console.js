// The console in Chromium: node console.js URL FOLDER light|dark|work|late|signin|rights. Each check is a
// JSON line {check, why}; why is null if it holds. Pictures go to FOLDER.
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;
const { late, lateSignIn } = require('./late.js');
const { rights } = require('./rights.js');
const { edges } = require('./edges.js');
const { dialogs } = require('./dialogs.js');

const [, , base, folder, mode] = process.argv;
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const wait = Number(process.env.WAIT_MS || 30000);
let troubles = [];

function watch(page) {
  page.setDefaultTimeout(wait);
  page.on('pageerror', (e) => troubles.push('error: ' + e.message));
  page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') troubles.push(m.type() + ' in the console: ' + m.text()); });
  page.on('request', (r) => { const u = new URL(r.url()); if (!/^(data|blob):$/.test(u.protocol) && u.hostname !== '127.0.0.1') troubles.push('request leaves the machine: ' + r.url()); });
  page.on('requestfailed', (r) => { if (!/ERR_ABORTED/.test(r.failure().errorText)) troubles.push('request failed: ' + r.url() + ' ' + r.failure().errorText); });
}

/** check runs act; what the browser complained of meanwhile fails it too. allowed are complaints that belong to it. */
async function check(name, act, allowed = null) {
  troubles = [];
  let why = null;
  try { await act(); } catch (e) { why = String(e.message).split('\n').slice(0, 4).join(' '); }
  const bad = troubles.filter((t) => !allowed || !allowed.test(t));
  if (!why && bad.length) why = bad.slice(0, 3).join('; ');
  console.log(JSON.stringify({ check: name, why }));
}

const want = (ok, why) => { if (!ok) throw new Error(why); };

/** accessible holds the page to all of axe's rules. */
async function accessible(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  want(!violations.length, violations.map((v) => `${v.impact}: ${v.help}, ${v.nodes.length} times, as ${v.nodes[0].html.slice(0, 120)}`).join('; '));
}

/** firstPaint says how long the first content takes to be seen, in ms: when nobody has opened the console since the broker's
 *  start, and then. Each visit has a browser without anything in its cache; the browser itself has started before. */
async function firstPaint(browser) {
  const seen = [];
  await check('the console paints', async () => {
    for (let n = 0; n < 4; n++) {
      const context = await browser.newContext();
      const page = await context.newPage();
      watch(page);
      if (!n) await page.setContent('<h1>warm</h1>');
      await page.goto(base + '/console/');
      await page.locator('main h1').first().waitFor();
      seen.push(await page.evaluate(() => Math.round(performance.getEntriesByName('first-contentful-paint')[0].startTime)));
      await context.close();
    }
  });
  await check(`first paint: ${seen[0]} ms at the first visit, then ${seen.slice(1).join(', ')} ms`, async () => want(seen.length === 4, 'not every visit was painted'));
}

async function pages(page, scheme) {
  const list = {
    home: ['', 'This broker'], topics: ['topics', 'shop'], records: ['topics/shop', 'shown'], partitions: ['topics/shop/partitions', 'Last record'], schema: ['topics/shop/schema', 'From v1 to v2'],
    'topic groups': ['topics/shop/groups', 'readers'], config: ['topics/shop/config', 'retention.ms'], rejections: ['topics/shop/rejections', 'expected'], table: ['topics/shop/table', 'Files by size'],
    schemas: ['schemas', 'shop-value'], subject: ['schemas/shop-value', 'adds column coupon string null'], groups: ['groups', 'readers'], group: ['groups/readers', 'Partitions'], 'share group': ['groups/workers', 'Deliveries so far'], 'open record': ['topics/shop?order=oldest&partition=0&open=0%3A0', 'Copy as'], tables: ['tables', 'shop'],
    'table of a topic': ['tables/shop', 'Open it in'], sql: ['sql?q=select+count(*)+n+from+shop', 'scanned'], clients: ['clients', 'Listeners'], users: ['security', 'No users'], rules: ['security/rules', 'No access rules are in force'],
    quotas: ['security/quotas', 'No quotas'], settings: ['settings', 'log.retention.ms'], 'no topic': ['topics/none', 'There is no topic none', /404/], 'no page': ['nowhere', 'No such page'], 'sql before': ['sql', 'Ask something'],
  };
  for (const [name, [path, text, allowed]] of Object.entries(list)) {
    await check(`${scheme}: ${name}`, async () => {
      await page.goto(base + '/console/' + path);
      await page.getByText(text, { exact: false }).first().waitFor();
      await page.waitForTimeout(400); // what comes a moment later belongs to the picture
      const said = await page.locator('[role=alert]').allTextContents();
      want(!said.length, 'the page says: ' + said[0]);
      await page.screenshot({ path: `${folder}/${scheme}-${name.replaceAll(' ', '-')}.png` });
      await accessible(page);
      // On a telephone nothing sticks out to the side.
      await page.setViewportSize({ width: 390, height: 844 });
      await page.waitForTimeout(200);
      await page.screenshot({ path: `${folder}/${scheme}-${name.replaceAll(' ', '-')}-phone.png` });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      const cut = name === 'home' ? await page.evaluate(() => [...document.querySelectorAll('.scroll')].filter((s) => s.scrollWidth > s.clientWidth).length) : 0;
      await page.setViewportSize({ width: 1400, height: 900 });
      want(!cut, `on a telephone ${cut} lists of Home are cut off`);
      want(over <= 0, `on a telephone the page sticks out by ${over} pixels`);
    }, allowed);
  }
}

async function work(page) {
  const open = (path) => page.goto(base + '/console/' + path);
  await check('64-bit integers are exact in records and in SQL', async () => {
    await open('topics/shop?key=k7');
    await page.locator('.records .line').nth(1).click();
    await page.locator('.recordbody', { hasText: '9223372036854775800' }).first().waitFor();
    want(/open=\d+%3A\d+/.test(page.url()), 'the open record is not in the URL: ' + page.url());
    await open('sql?q=' + encodeURIComponent('select max(id) m from shop'));
    await page.locator('.result td', { hasText: '9223372036854775807' }).waitFor();
    await page.locator('.command', { hasText: 'duckdb' }).waitFor();
  });
  await check('a filter by SQL says what it scanned; a mistake says where', async () => {
    await open('topics/shop');
    await page.getByPlaceholder('SQL where').fill('amount < 3');
    await page.getByPlaceholder('SQL where').press('Enter');
    await page.getByText('3 matched').waitFor();
    want((await page.locator('.records .line').count()) === 4, 'rows beside the head: ' + (await page.locator('.records .line').count()));
    await page.getByPlaceholder('SQL where').fill('amoun < 3');
    await page.getByPlaceholder('SQL where').press('Enter');
    await page.getByText('no such column: amoun').waitFor();
  }, /400/);
  await check('what cannot be decoded says why', async () => {
    await open('topics/raw');
    await page.locator('.records .line').nth(1).click();
    await page.getByText('Not decoded.').waitFor();
    await page.getByText('the schema id 99').waitFor();
  });
  await check('the form says what the validator says, and produces; the live tail shows it', async () => {
    const tail = await page.context().newPage();
    watch(tail);
    await tail.goto(base + '/console/topics/shop?live=true');
    await tail.getByText('following').waitFor();
    await open('topics/shop');
    await page.getByRole('button', { name: 'Produce' }).click();
    await page.getByText('The broker takes it').waitFor();
    await page.getByLabel('Value', { exact: true }).fill('{"id": 1}');
    await page.getByText('does not fit shop-value').waitFor();
    await page.getByLabel('Value', { exact: true }).fill('{"id": 9223372036854775806, "amount": 1000.5, "coupon": null}');
    await page.getByText('The broker takes it').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Produce' }).click();
    await page.getByText(/Partition \d, offset \d+/).waitFor();
    await tail.locator('.records .line', { hasText: '9223372036854775806' }).waitFor();
    await tail.getByRole('button', { name: 'Pause' }).click();
    await tail.getByText('paused').waitFor();
    await tail.close();
  });
  await check('a reset is shown before it is made', async () => {
    await open('groups/readers');
    await page.getByRole('button', { name: 'Set offsets' }).click();
    await page.getByText('records will be read again').waitFor();
    await page.screenshot({ path: `${folder}/seek.png` });
    await page.getByRole('dialog').getByRole('button', { name: 'Set offsets' }).click();
    await page.getByText('Offsets of readers are set').waitFor();
  });
  await check('a config is held to what the broker allows, and set', async () => {
    await open('topics/shop/config?q=retention.ms');
    await page.locator('tr', { hasText: /^retention\.ms/ }).first().click();
    await page.getByLabel('Value', { exact: true }).fill('soon');
    await page.getByRole('dialog').getByRole('alert').waitFor();
    await page.getByLabel('Value', { exact: true }).fill('86461001');
    await page.getByRole('dialog').getByRole('alert').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('tr', { hasText: '86461001' }).waitFor();
  }, /422/);
  await check('a topic is made and deleted', async () => {
    await open('topics');
    await page.getByRole('button', { name: 'New topic' }).click();
    await page.getByLabel('Name').fill('fresh');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByText('No records').waitFor();
    await open('topics/fresh/config');
    await page.getByRole('button', { name: 'Delete topic' }).click();
    await page.getByLabel('Type fresh to confirm').fill('fresh');
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('fresh is gone').waitFor();
  }, /404/);
  await check('keys: g t, /, ?', async () => {
    await open('');
    await page.getByText('This broker').waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await page.waitForURL('**/console/topics');
    await page.getByText('New topic').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('sho');
    await page.waitForURL('**/console/topics?q=sho');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  });
  await check('a share group begins elsewhere', async () => {
    await open('groups/workers');
    await page.getByText('2×: ').first().waitFor();
    await page.getByRole('button', { name: 'Set offsets' }).click();
    await page.getByText('records will be read again').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Set offsets' }).click();
    await page.getByText('Offsets of workers are set').waitFor();
  });
  await check('ten thousand records stay smooth, by the keyboard too', async () => {
    await open('topics/many?order=oldest');
    for (let shown = 50; shown < 10000; shown += 500) {
      await page.getByText(`${shown.toLocaleString('en')} shown`).waitFor();
      await page.getByRole('button', { name: 'Load more' }).click();
    }
    await page.getByText('10,050 shown').waitFor();
    const lines = await page.locator('.records .line').count();
    want(lines < 400, `${lines} rows are in the page`);
    const took = await page.evaluate(async () => {
      const frame = () => new Promise((next) => { requestAnimationFrame(next); });
      const all = [];
      for (let at = 0; at < 270000; at += 9000) {
        const before = performance.now();
        scrollTo(0, at);
        await frame();
        await frame();
        all.push(performance.now() - before);
      }
      return all.sort((a, b) => a - b)[all.length / 2];
    });
    console.error(`a jump in 10,000 records: ${took.toFixed(1)} ms`);
    await page.getByText('"n":9670').waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await page.locator('.records .line').nth(1).filter({ hasText: '{"n":0}' }).waitFor();
    await page.locator('.records .line').nth(1).focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press('j');
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await page.waitForURL(/open=0%3A2/);
    await page.locator('.recordbody', { hasText: '"n": 2' }).waitFor();
  });
  await check('Tab stays in a dialog, Escape leaves it', async () => {
    await open('groups/readers');
    await page.getByRole('button', { name: 'Set offsets' }).click();
    await page.getByRole('dialog').waitFor();
    await accessible(page);
    for (let i = 0; i < 14; i++) {
      await page.keyboard.press('Tab');
      want(await page.evaluate(() => document.activeElement.closest('[role=dialog]') !== null), 'the focus has left the dialog');
    }
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });
  await check('commits now', async () => {
    await open('tables/shop');
    await page.getByRole('button', { name: 'Commit now' }).click();
    await page.getByText('rows committed').waitFor();
  });
}

async function signIn(page) {
  await check('a password is asked for, and rules hold', async () => {
    await page.goto(base + '/console/topics');
    await page.getByLabel('User').fill('alice');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('user or password is wrong').waitFor();
    await page.getByLabel('Password').fill('alice-secret');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'mine' }).waitFor();
    want((await page.getByRole('link', { name: 'theirs' }).count()) === 0, "somebody else's topic is listed");
    want((await page.getByRole('link', { name: /Clients|Security|Settings/ }).count()) === 0, 'pages of the cluster are in the menu');
    for (const [path, seen] of [['', 'Who may describe the cluster sees more'], ['/groups', 'No group'], ['/tables', 'No topic fills a table'], ['/schemas', 'No schemas yet'], ['/topics/mine', 'SQL where']]) {
      const refused = [];
      const note = (r) => { if (r.status() >= 400) refused.push(r.status() + ' ' + r.url()); };
      page.on('response', note);
      await page.goto(base + '/console' + path);
      await (seen === 'SQL where' ? page.getByPlaceholder(seen) : page.getByText(seen)).first().waitFor();
      page.off('response', note);
      want(refused.length === 0, 'refused at ' + path + ': ' + refused.join(' '));
      want((await page.locator('.note').count()) === 0, 'a complaint at ' + path);
    }
    const cookie = (await page.context().cookies())[0];
    want(cookie.httpOnly && cookie.sameSite === 'Strict', 'cookie: ' + JSON.stringify(cookie));
    await page.goto(base + '/console/topics/theirs');
    await page.getByText('Not allowed: alice needs Describe on Topic theirs; who may alter the cluster gives it: tarn acl create --principal alice --operation describe --topic theirs').first().waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Password').waitFor();
  }, /40[13]/);
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: flags });
  try {
    if (mode === 'light') await firstPaint(browser); // before anybody has asked for a page
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: mode === 'dark' ? 'dark' : 'light' });
    const page = await context.newPage();
    watch(page);
    const parts = { base, folder, check, want };
    if (mode === 'signin') { await signIn(page); await lateSignIn(page, parts); }
    else if (mode === 'rights') await rights(page, parts);
    else if (mode === 'late') await late(page, parts);
    else if (mode === 'work') { await work(page); await edges(page, parts); await dialogs(page, parts); }
    else await pages(page, mode);
  } finally { await browser.close(); }
})().catch((e) => { console.error(e); process.exit(1); });
