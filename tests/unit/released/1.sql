BEGIN TRANSACTION;
CREATE TABLE "counter" (
   "hotfolder" TEXT,
   "series" TEXT,
   "state" TEXT NOT NULL,
   PRIMARY KEY ("hotfolder", "series")
);
CREATE TABLE "delivery" (
   "document" TEXT REFERENCES "document"("id"),
   "target" TEXT,
   "role" TEXT,
   "state" TEXT NOT NULL,
   "parts" TEXT NOT NULL,
   "attempts" INTEGER,
   "due_at" TEXT,
   "code" TEXT,
   "reason" TEXT,
   "step" TEXT NOT NULL,
   "tries" INTEGER NOT NULL,
   "receipts" TEXT,
   "changed_at" TEXT,
   PRIMARY KEY ("document", "target")
);
INSERT INTO "delivery" VALUES('01a20320-adb8-7a01-8317-1283f2584310','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf", "size": 10, "sha256": "ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2", "reference": "/srv/dms/01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
INSERT INTO "delivery" VALUES('01a20320-adb8-7a01-8317-1283f2584310','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "67836d07d3af253a671cafa5d023212b5e0caf5095bcb4d58a04cae58e0387b1", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf", "size": 10, "sha256": "ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2", "reference": "/srv/archive/01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-7a01-8317-1283f2584310/manifest.json", "size": 10, "sha256": "67836d07d3af253a671cafa5d023212b5e0caf5095bcb4d58a04cae58e0387b1", "reference": "/srv/archive/01a20320-adb8-7a01-8317-1283f2584310/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
CREATE TABLE "document" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "state" TEXT NOT NULL,
   "hotfolder" TEXT,
   "profile" TEXT,
   "kind" TEXT,
   "size" INTEGER NOT NULL,
   "digest" TEXT NOT NULL,
   "captured_at" TEXT,
   "claimed_at" TEXT,
   "changed_at" TEXT,
   "clock" TEXT,
   "code" TEXT NOT NULL,
   "came_from" TEXT,
   "step" TEXT NOT NULL,
   "tries" INTEGER NOT NULL,
   "images" INTEGER,
   "findings" TEXT,
   "sealed" TEXT,
   "sealed_size" INTEGER,
   "note" TEXT,
   "note_size" INTEGER,
   "checked_at" TEXT,
   "sealed_at" TEXT,
   "ledger_hash" TEXT,
   "copy" TEXT DEFAULT '',
   "copy_until" TEXT,
   "superseded_by" TEXT DEFAULT '',
   "resembles" TEXT DEFAULT '',
   "described" TEXT DEFAULT '{}',
   "finding_pages" TEXT DEFAULT '[]',
   "pages_digest" TEXT DEFAULT '',
   "duplicate_of" TEXT DEFAULT '',
   "level" TEXT DEFAULT '',
   "stamp" TEXT DEFAULT '',
   "stamped_at" TEXT,
   "gap" TEXT DEFAULT '',
   "evidence" TEXT DEFAULT '[]',
   "evidence_until" TEXT DEFAULT '',
   "certificate" TEXT DEFAULT '',
   "local" TEXT DEFAULT ''
);
INSERT INTO "document" VALUES('01a20320-a200-7895-81b8-942e4325927f','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a5e8-7a32-b91a-b8481ddead3e','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a9d0-73b0-b38e-4c6b31968ed1','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','89c1663d6361901af1bb0df457dbe562397cc4070c5f0031e7dc88b577cd79b9',10,'f735bbb468fcdb2fde373a4336e3587970de302ebd679dceddc26a50f05a8fee',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','804586ad853c53bbbe813292d830664876ddfc7e333f7f1b82af2e046b423f00','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-adb8-7a01-8317-1283f2584310','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2',10,'ad5390e9c848b544332f31c11d4985f2bbb1d970f9e2076042d6133fa5cdedb6',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','e868144a3f68643ae7c813382c46222ff06ec42d682d91463ba4daa6dce2df28','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-7895-81b8-942e4325927f','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-7895-81b8-942e4325927f","event":"claim","personal_hash":"af040a7ef3b2cb3de28506ed6908d41e01c1fdcd1d1f0b66d5f5b89bb698fb08","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','063f7b0977b78fa5c404188d6cb9aa6215b2f9776f55b5d2987862382c08bfca');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7a32-b91a-b8481ddead3e','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-7a32-b91a-b8481ddead3e","event":"claim","personal_hash":"877f3353fd12a8dd2b13edee5f45a3b49d0fcf95240b4849c1e19da29f70ef16","prev":"063f7b0977b78fa5c404188d6cb9aa6215b2f9776f55b5d2987862382c08bfca","seq":2,"v":1}','6f17af3f47944d0d32f44ff508d2b9841227aa019ea9d6664db528b206be18b5');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7a32-b91a-b8481ddead3e','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-7a32-b91a-b8481ddead3e","event":"refuse","personal_hash":"","prev":"6f17af3f47944d0d32f44ff508d2b9841227aa019ea9d6664db528b206be18b5","seq":3,"v":1}','cc23dfdd11a3867b8bd13cb3f952b6feb14a905890d51d7fec14399e3f138ec1');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-73b0-b38e-4c6b31968ed1','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-73b0-b38e-4c6b31968ed1","event":"claim","personal_hash":"078834ca591c28ca75befbf7c961d57eba7f7045fc0c434f54600edf50e5bbf1","prev":"cc23dfdd11a3867b8bd13cb3f952b6feb14a905890d51d7fec14399e3f138ec1","seq":4,"v":1}','804586ad853c53bbbe813292d830664876ddfc7e333f7f1b82af2e046b423f00');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-73b0-b38e-4c6b31968ed1','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"804586ad853c53bbbe813292d830664876ddfc7e333f7f1b82af2e046b423f00","note_sha256":"f735bbb468fcdb2fde373a4336e3587970de302ebd679dceddc26a50f05a8fee","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"89c1663d6361901af1bb0df457dbe562397cc4070c5f0031e7dc88b577cd79b9","size":10},"document":"01a20320-a9d0-73b0-b38e-4c6b31968ed1","event":"seal","personal_hash":"","prev":"804586ad853c53bbbe813292d830664876ddfc7e333f7f1b82af2e046b423f00","seq":5,"v":1}','f7756682a8c24e501943fb26a44bf7bedd831f08114d92f235f8b777c7e62b58');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"claim","personal_hash":"e95c477a4acb01cd47609e3e98e30cc8c8ff52f40e0237085c5abd7ea3533bda","prev":"f7756682a8c24e501943fb26a44bf7bedd831f08114d92f235f8b777c7e62b58","seq":6,"v":1}','e868144a3f68643ae7c813382c46222ff06ec42d682d91463ba4daa6dce2df28');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"e868144a3f68643ae7c813382c46222ff06ec42d682d91463ba4daa6dce2df28","note_sha256":"ad5390e9c848b544332f31c11d4985f2bbb1d970f9e2076042d6133fa5cdedb6","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2","size":10},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"seal","personal_hash":"","prev":"e868144a3f68643ae7c813382c46222ff06ec42d682d91463ba4daa6dce2df28","seq":7,"v":1}','e71959d2f93ceef3e9d6c5c12dfbe6284bfa105a7cdcc0b273751ab71cc71050');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2","size":10},{"file":"manifest.json","role":"manifest","sha256":"67836d07d3af253a671cafa5d023212b5e0caf5095bcb4d58a04cae58e0387b1","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"freeze","personal_hash":"","prev":"e71959d2f93ceef3e9d6c5c12dfbe6284bfa105a7cdcc0b273751ab71cc71050","seq":8,"v":1}','9b86590eb9213c11b9d0dfefbb78e5dc28bd3bae96b661738d636a71f2053beb');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"target":"archive"},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"delivery-send","personal_hash":"","prev":"9b86590eb9213c11b9d0dfefbb78e5dc28bd3bae96b661738d636a71f2053beb","seq":9,"v":1}','184fd90b2bf0c40634d66d37d43a3b130c4531adf859c3e5db47384c0a019f8a');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf","sha256":"ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-7a01-8317-1283f2584310/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-7a01-8317-1283f2584310/manifest.json","sha256":"67836d07d3af253a671cafa5d023212b5e0caf5095bcb4d58a04cae58e0387b1","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"delivery-acknowledge","personal_hash":"","prev":"184fd90b2bf0c40634d66d37d43a3b130c4531adf859c3e5db47384c0a019f8a","seq":10,"v":1}','d6a07fe8880cd6cce4ebe73cd4404a067bb9f51fc7f26ae9662ea2667b0b3a40');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"target":"dms"},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"delivery-send","personal_hash":"","prev":"d6a07fe8880cd6cce4ebe73cd4404a067bb9f51fc7f26ae9662ea2667b0b3a40","seq":11,"v":1}','c6c4d31e8e878dda367683e336ca1b3d8f0fede2f56cdc99bdd6df73a2fcc082');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-7a01-8317-1283f2584310/sealed.pdf","sha256":"ce4cd82ea071ec4891e16c555e95c9537b70dcd249ed035c6f12bfd18a0e69f2","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"delivery-acknowledge","personal_hash":"","prev":"c6c4d31e8e878dda367683e336ca1b3d8f0fede2f56cdc99bdd6df73a2fcc082","seq":12,"v":1}','c18258ce101a09693807ec7d71e12c9e47c0d36a7f8a34f18f9ccf042cb2817d');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-7a01-8317-1283f2584310','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{},"document":"01a20320-adb8-7a01-8317-1283f2584310","event":"file","personal_hash":"","prev":"c18258ce101a09693807ec7d71e12c9e47c0d36a7f8a34f18f9ccf042cb2817d","seq":13,"v":1}','cfd841dab738396fd0945f2716fd5612a72c223f8c29355ac543b9bb18d1a421');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"ea2dd8ab1c88700819af673121d6d2c7","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"3762fada317a67f67e2fa93814d88e004a0341230d62d0e1870f5629e5167e46","prev":"cfd841dab738396fd0945f2716fd5612a72c223f8c29355ac543b9bb18d1a421","seq":14,"v":1}','4dadf5fec8a11a80af73a6d1c1040065ff1f1a29e3c2d8d75a238f9e78a931e7');
CREATE TABLE "login" (
   "serial" TEXT PRIMARY KEY,
   "unresolved" INTEGER,
   "rejected" INTEGER,
   "permitted" INTEGER
);
CREATE TABLE "meta" (
   "key" TEXT PRIMARY KEY NOT NULL,
   "value" TEXT NOT NULL
);
INSERT INTO "meta" VALUES('box_id','ea2dd8ab1c88700819af673121d6d2c7');
CREATE TABLE "missing" (
   "hotfolder" TEXT,
   "series" TEXT,
   "run" INTEGER,
   "number" INTEGER,
   "digits" INTEGER NOT NULL,
   "jumped_from" INTEGER NOT NULL,
   "noticed_at" TEXT NOT NULL,
   "due_at" TEXT NOT NULL,
   PRIMARY KEY ("hotfolder", "series", "run", "number")
);
CREATE TABLE "personal" (
   "seq" INTEGER PRIMARY KEY,
   "salt" BLOB,
   "content" TEXT
);
INSERT INTO "personal" VALUES(1,X'C97933EBC48AC62F89A8C34541CC154C','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'7C0B5431F21411D9501273DFDD8E6C49','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'7993BCB98696DC943C1F88D7DA06AEBA','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'44A424C213C48B0C1A309F74EB62B5AD','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'F47CB936B24B96968E1C608D5CF14236','{"operator":"K 17","person":"uid 0"}');
CREATE TABLE "segment" (
   "day" TEXT PRIMARY KEY,
   "first" INTEGER NOT NULL,
   "last" INTEGER NOT NULL,
   "hash" TEXT NOT NULL,
   "digest" TEXT NOT NULL,
   "size" INTEGER NOT NULL,
   "seal" TEXT NOT NULL,
   "seal_size" INTEGER NOT NULL,
   "sealed_at" TEXT
);
CREATE TABLE "segment_delivery" (
   "day" TEXT REFERENCES "segment"("day"),
   "target" TEXT,
   "state" TEXT NOT NULL,
   "receipts" TEXT NOT NULL,
   "changed_at" TEXT,
   PRIMARY KEY ("day", "target")
);
CREATE TABLE "shift" (
   "hotfolder" TEXT,
   "since" TEXT,
   "operator" TEXT NOT NULL,
   PRIMARY KEY ("hotfolder", "since")
);
INSERT INTO "shift" VALUES('post','2026-11-22T12:00:00.000Z','K 17');
CREATE TABLE "tally" (
   "kind" TEXT,
   "state" TEXT,
   "n" INTEGER,
   PRIMARY KEY ("kind", "state")
);
INSERT INTO "tally" VALUES('document','claimed',1);
INSERT INTO "tally" VALUES('bytes','unsealed',1000);
INSERT INTO "tally" VALUES('profile','post',3);
INSERT INTO "tally" VALUES('document','refused',1);
INSERT INTO "tally" VALUES('document','sealed',1);
INSERT INTO "tally" VALUES('document','frozen',0);
INSERT INTO "tally" VALUES('delivery:dms','pending',0);
INSERT INTO "tally" VALUES('delivery:archive','pending',0);
INSERT INTO "tally" VALUES('delivery:archive','sending',0);
INSERT INTO "tally" VALUES('delivery:archive','delivered',1);
INSERT INTO "tally" VALUES('delivery:dms','sending',0);
INSERT INTO "tally" VALUES('delivery:dms','delivered',1);
INSERT INTO "tally" VALUES('document','filed',1);
CREATE INDEX document_state ON document(state, id);
CREATE INDEX document_ready ON document(state, id) WHERE state IN ('sealed','stamped') AND stamp != 'wanted' AND step = '';
CREATE INDEX document_waiting ON document(code, profile, hotfolder, id) WHERE state = 'waiting';
CREATE INDEX document_suspect ON document(state, tries, id) WHERE tries > 0;
CREATE INDEX document_unstamped ON document(sealed_at, id) WHERE stamp = 'wanted' AND state = 'sealed';
CREATE INDEX document_aging ON document(profile, state, changed_at, id) WHERE state IN ('refused','filed','discarded','withdrawn') AND superseded_by = '';
CREATE INDEX document_kept ON document(id) WHERE sealed != '' AND state != 'forgotten';
CREATE INDEX document_unlinking ON document(id) WHERE local = 'leaving';
CREATE INDEX document_step ON document(step) WHERE step != '';
CREATE INDEX document_copy ON document(hotfolder, id) WHERE copy IN ('due','leaving');
CREATE INDEX document_copy_until ON document(hotfolder, copy_until) WHERE copy = 'there';
CREATE INDEX document_hotfolder ON document(hotfolder, id);
CREATE INDEX document_refused ON document(hotfolder, id) WHERE state = 'refused';
CREATE INDEX document_refused_tail ON document(hotfolder, substr(id, -8)) WHERE state = 'refused';
CREATE INDEX document_refused_digest ON document(hotfolder, digest) WHERE state = 'refused';
CREATE INDEX document_superseded ON document(superseded_by) WHERE superseded_by != '';
CREATE INDEX document_digest ON document(digest, id);
CREATE INDEX document_pages ON document(pages_digest, id) WHERE pages_digest != '';
CREATE INDEX document_sealed ON document(sealed_at, id) WHERE sealed_at IS NOT NULL;
CREATE INDEX document_batch ON document(json_extract(described, '$.batch')) WHERE json_extract(described, '$.batch') IS NOT NULL;
CREATE INDEX delivery_due ON delivery(target, state, due_at) WHERE state IN ('pending','sending');
CREATE INDEX delivery_suspect ON delivery(target, tries) WHERE tries > 0;
CREATE INDEX delivery_done ON delivery(target, changed_at) WHERE state = 'delivered';
CREATE INDEX delivery_step ON delivery(step) WHERE step != '';
CREATE INDEX ledger_document ON ledger(document, seq);
CREATE INDEX ledger_at ON ledger(at);
COMMIT;
PRAGMA user_version = 1;
