// What a user is offered who may read one topic, its tables and one group: what he may
// not do is disabled and names the missing right, and what is refused names the command.

/** rights runs its checks in page, signed in as carol, with the parts of console.js. */
async function rights(page, { base, folder, check, want }) {
  const open = (path) => page.goto(base + '/console/' + path);
  const button = (name) => page.getByRole('button', { name, exact: true }).first();
  /** off holds a button to be disabled, with a title. */
  const off = async (name, title) => {
    await page.locator(`button:disabled[title="${title}"]`, { hasText: name }).first().waitFor();
    want(await button(name).isDisabled(), `${name} can be pressed`);
  };
  /** on waits until a button can be pressed. */
  const on = (name) => page.locator('button:enabled', { hasText: name }).first().waitFor();
  /** refused waits for a line that says what is missing, and the command. */
  const refused = async (right, flags) => {
    const line = page.locator('.note', { hasText: `Not allowed: carol needs ${right}; who may alter the cluster gives it: tarn acl create --principal carol --operation ${flags}` }).first();
    await line.waitFor();
    want(!(await line.textContent()).includes('\n'), 'it is not one line: ' + (await line.textContent()));
  };
  await page.context().request.post(base + '/api/session', { data: { user: 'carol', password: 'carol-secret' } });

  await check('rights: what one may not do is disabled, and says why', async () => {
    await open('topics');
    await page.getByRole('link', { name: 'sales' }).waitFor();
    await off('New topic', 'needs Create on a topic');
    await open('topics/sales');
    await off('Produce', 'needs Write on Topic sales');
    await open('topics/sales/partitions');
    await off('Add partitions', 'needs Alter on Topic sales');
    await open('topics/sales/config');
    await off('Delete topic', 'needs Delete on Topic sales');
    await page.getByText('To change one needs AlterConfigs on Topic sales').waitFor();
    want((await page.locator('tr.open').count()) === 0, 'configs can be opened to be changed');
    for (const [path, title] of [['topics/sales?dialog=produce', 'needs Write on Topic sales'], ['topics/sales/config?dialog=delete', 'needs Delete on Topic sales'], ['topics?dialog=new', 'needs Create on a topic']]) {
      await open(path); // a link opens no dialog for who lacks the right
      await page.locator(`button:disabled[title="${title}"]`).first().waitFor();
      want((await page.getByRole('dialog').count()) === 0, path + ' opens it');
    }
    for (const path of ['topics/sales/table', 'tables/sales']) {
      await open(path);
      for (const name of ['Commit now', 'Merge files', 'Expire states', 'Verify']) await off(name, 'needs Alter on Topic sales');
    }
    await open('schemas');
    await off('Register', 'needs Write on a subject');
    await open('schemas/sales-value');
    await off('Delete', 'needs Delete on Subject sales-value');
    await open('groups/team');
    await off('Delete', 'needs Delete on Group team');
    await on('Set offsets');
    await page.screenshot({ path: `${folder}/rights-group.png` });
  }, /403/);

  await check('rights: what is refused says which right is missing, and the command that gives it', async () => {
    await open('topics/sales/schema');
    await refused('Read on Subject sales-value', 'read --subject sales-value');
    await page.screenshot({ path: `${folder}/rights-schema.png` });
    await open('topics/theirs');
    await refused('Describe on Topic theirs', 'describe --topic theirs');
    await open('groups/others');
    await refused('Describe on Group others', 'describe --group others');
    await open('settings');
    await refused('DescribeConfigs on Cluster', 'describe-configs --cluster');
    await open('security');
    await off('New user', 'needs Alter on Cluster');
    await refused('Describe on Cluster', 'describe --cluster');
    await open('security/rules');
    await off('New rule', 'needs Alter on Cluster');
    await open('security/quotas');
    await off('Set a quota', 'needs AlterConfigs on Cluster');
  }, /403/);

  await check('rights: Home at three widths has no list cut off and no empty card', async () => {
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      await page.emulateMedia({ colorScheme });
      for (const width of [400, 768, 1280]) {
        await page.setViewportSize({ width, height: 900 });
        await open('');
        await page.getByRole('link', { name: 'sales' }).first().waitFor();
        await page.getByText('This broker').waitFor();
        const seen = await page.evaluate(() => ({
          cut: [...document.querySelectorAll('.scroll')].filter((s) => s.scrollWidth > s.clientWidth).length,
          rows: new Set([...document.querySelectorAll('.card')].map((c) => c.getBoundingClientRect().top)).size,
          lists: document.querySelectorAll('.scroll').length, cards: document.querySelectorAll('.card').length,
        }));
        await page.screenshot({ path: `${folder}/rights-home-${width}-${colorScheme}.png`, fullPage: true });
        want(seen.cut === 0 && seen.rows === 1 && seen.lists === 2 && seen.cards === 3, `at ${width}: ${JSON.stringify(seen)}`);
      }
    }
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1400, height: 900 });
  });

  await check('rights: what an administrator gives is offered', async () => {
    const given = ['delete', 'alter-configs'].map((operation) => ({ principal: 'User:carol', host: '*', permission: 'allow', operation, resource: 'topic', name: 'sales', pattern: 'literal' }));
    const r = await page.context().request.post(base + '/api/acls', { data: given, headers: { Authorization: 'Basic ' + Buffer.from('admin:root-secret').toString('base64') } });
    want(r.ok(), 'the rules were not made: ' + r.status());
    await open('topics/sales/config?q=retention.ms');
    await on('Delete topic');
    await page.locator('tr.open', { hasText: /^retention\.ms/ }).click();
    await page.getByLabel('Value', { exact: true }).fill('86461001');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('tr', { hasText: '86461001' }).waitFor();
    await button('Delete topic').click();
    await page.getByLabel('Type sales to confirm').fill('sales');
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('sales is gone').waitFor();
  }, /404/);
}

module.exports = { rights };
