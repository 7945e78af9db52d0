// The registry's API by @confluentinc/schemaregistry, its DEK registry client and
// its field encryption:
//   node registry.js REGISTRY
// Writes a line of JSON for each check: {"ok", "name", "got"}.
const assert = require('node:assert');
const sr = require('@confluentinc/schemaregistry');
const path = require('node:path');
const { DekRegistryClient } = require(path.join(path.dirname(require.resolve('@confluentinc/schemaregistry')), 'rules/encryption/dekregistry/dekregistry-client.js'));

const [url] = process.argv.slice(2);
const fresh = (base = url) => new sr.SchemaRegistryClient({ baseURLs: [base], cacheCapacity: 100, cacheLatestTtlSecs: 60 });

async function check(name, act) {
  try {
    await act();
    console.log(JSON.stringify({ ok: true, name }));
  } catch (e) {
    console.log(JSON.stringify({ ok: false, name, got: `${e}` }));
  }
}

async function refused(code, act) {
  try {
    await act();
  } catch (e) {
    assert.strictEqual(e.errorCode, code, `${e}`);
    return;
  }
  assert.fail(`not refused with ${code}`);
}

const v1 = JSON.stringify({ type: 'record', name: 'Js', fields: [{ name: 'id', type: 'long' }] });
const v2 = JSON.stringify({ type: 'record', name: 'Js', fields: [{ name: 'id', type: 'long' }, { name: 'n', type: 'int', default: 0 }] });
const bad = JSON.stringify({ type: 'record', name: 'Js', fields: [{ name: 'id', type: 'string' }] });
const avro = (schema, more) => ({ schemaType: 'AVRO', schema, ...more });

async function versions() {
  const c = fresh();
  let one;
  await check('register', async () => { one = await c.registerFullResponse('js', avro(v1), false); assert.ok(one.id > 0 && one.guid); });
  await check('register again', async () => assert.strictEqual(await fresh().register('js', avro(v1)), one.id));
  await check('second version', async () => { await c.register('js', avro(v2)); assert.deepStrictEqual(await fresh().getAllVersions('js'), [1, 2]); });
  await check('by id', async () => assert.strictEqual((await fresh().getBySubjectAndId('js', one.id)).schema, v1));
  await check('by GUID', async () => assert.strictEqual((await fresh().getByGuid(one.guid)).schema, v1));
  await check('id of a schema', async () => assert.strictEqual(await fresh().getId('js', avro(v1)), one.id));
  await check('version of a schema', async () => assert.strictEqual(await fresh().getVersion('js', avro(v2)), 2));
  await check('latest', async () => assert.strictEqual((await fresh().getLatestSchemaMetadata('js')).version, 2));
  await check('one version', async () => assert.strictEqual((await fresh().getSchemaMetadata('js', 1)).schema, v1));
  await check('subjects', async () => assert.ok((await fresh().getAllSubjects()).includes('js')));
  await check('comparison', async () => assert.deepStrictEqual(
    [await fresh().testSubjectCompatibility('js', avro(bad)), await fresh().testCompatibility('js', 1, avro(v2))], [false, true]));
  await check('refusals', async () => {
    await refused(40901, () => fresh().register('js', avro(bad)));
    await refused(40401, () => fresh().getLatestSchemaMetadata('nothing'));
    await refused(40403, () => fresh().getBySubjectAndId('js', 99999));
    await refused(42201, () => fresh().register('js', avro('{"type":"recrod"}')));
  });
}

async function settings() {
  await check('level', async () => {
    await fresh().updateCompatibility('js', 'FULL');
    assert.strictEqual(await fresh().getCompatibility('js'), 'FULL');
  });
  await check('settings', async () => {
    await fresh().updateConfig('js', { compatibilityLevel: 'BACKWARD', normalize: true, defaultMetadata: { properties: { team: 'js' } } });
    const got = await fresh().getConfig('js');
    assert.deepStrictEqual([got.normalize, got.defaultMetadata.properties], [true, { team: 'js' }]);
  });
  await check('latest with metadata', async () => {
    const c = fresh();
    await c.register('js-meta', avro(v1, { metadata: { properties: { major: '1' } } }));
    await c.register('js-meta', avro(v2, { metadata: { properties: { major: '2' } } }));
    assert.strictEqual((await fresh().getLatestWithMetadata('js-meta', { major: '1' })).version, 1);
  });
  await check('references', async () => {
    const c = fresh();
    await c.register('js-part', avro(JSON.stringify({ type: 'record', name: 'Part', fields: [] })));
    const refs = { references: [{ name: 'Part', subject: 'js-part', version: 1 }] };
    const id = await c.register('js-whole', avro(JSON.stringify({ type: 'array', items: 'Part' }), refs));
    assert.deepStrictEqual((await fresh().getBySubjectAndId('js-whole', id)).references, refs.references);
    assert.strictEqual((await fresh().getLatestSchemaMetadata('js-whole', 'resolved')).schema, '{"type":"array","items":{"type":"record","name":"Part","fields":[]}}');
  });
  await check('contexts', async () => {
    await fresh(`${url}/contexts/.js`).register('s', avro(v1));
    assert.strictEqual((await fresh().getLatestSchemaMetadata(':.js:s')).id, 1);
  });
  await check('deletion', async () => {
    const c = fresh();
    await c.register('js-gone', avro(v1));
    assert.deepStrictEqual(await c.deleteSubject('js-gone'), [1]);
    assert.deepStrictEqual(await c.deleteSubject('js-gone', true), [1]);
    await refused(40401, () => fresh().getLatestSchemaMetadata('js-gone'));
  });
}

async function keys() {
  const deks = () => new DekRegistryClient({ baseURLs: [url], cacheCapacity: 100 });
  await check('KEK', async () => {
    await deks().registerKek('js', 'local-kms', 'key-1', true, { p: 'q' }, 'd');
    const got = await deks().getKek('js');
    assert.deepStrictEqual([got.kmsType, got.shared, got.doc], ['local-kms', true, 'd']);
  });
  await check('DEK of a shared KEK', async () => {
    const made = await deks().registerDek('js', 's/1', 'AES256_GCM', 1);
    assert.ok(made.keyMaterial && made.encryptedKeyMaterial);
    assert.strictEqual((await deks().getDek('js', 's/1', 'AES256_GCM', -1, false)).keyMaterial, made.keyMaterial);
  });
  await check('missing keys', async () => {
    await refused(40470, () => deks().getKek('nothing'));
    await refused(40470, () => deks().getDek('js', 'nothing', 'AES256_GCM', 1, false));
  });
}

// A field is encrypted with a KEK that the client makes, or with a shared one.
async function encryption() {
  sr.LocalKmsDriver.register();
  sr.FieldEncryptionExecutor.register();
  const person = { type: 'record', name: 'P', fields: [{ name: 'id', type: 'long' }, { name: 'mail', type: 'string', 'confluent:tags': ['PII'] }] };
  for (const kek of ['js', 'js-own']) {
    await check(`a field encrypted with ${kek}`, async () => {
      const subject = `js-people-${kek}`;
      const c = fresh();
      await c.register(`${subject}-value`, avro(JSON.stringify(person), { ruleSet: { domainRules: [{
        name: 'enc', kind: 'TRANSFORM', mode: 'WRITEREAD', type: 'ENCRYPT', tags: ['PII'],
        params: { 'encrypt.kek.name': kek, 'encrypt.kms.type': 'local-kms', 'encrypt.kms.key.id': 'key-1' },
        onFailure: 'ERROR,ERROR' }] } }));
      const conf = { ruleConfig: { secret: process.env.LOCAL_SECRET } };
      const value = { id: 7, mail: 'ada@example.org' };
      const payload = await new sr.AvroSerializer(c, sr.SerdeType.VALUE, { useLatestVersion: true, ...conf }).serialize(subject, { ...value });
      assert.ok(!payload.includes('ada@'), 'not encrypted');
      const got = await new sr.AvroDeserializer(fresh(), sr.SerdeType.VALUE, conf).deserialize(subject, payload);
      assert.deepStrictEqual({ ...got, id: Number(got.id) }, value);
    });
  }
}

(async () => {
  await versions();
  await settings();
  await keys();
  await encryption();
})();
