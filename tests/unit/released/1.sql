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
INSERT INTO "delivery" VALUES('01a20320-adb8-74a3-9621-b67ab51607ff','dms','dms','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "dms", "key": "01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf", "size": 10, "sha256": "2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61", "reference": "/srv/dms/01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
INSERT INTO "delivery" VALUES('01a20320-adb8-74a3-9621-b67ab51607ff','archive','archive','delivered','[{"role": "sealed", "file": "sealed.pdf", "sha256": "2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61", "size": 10}, {"role": "manifest", "file": "manifest.json", "sha256": "2816f16178da7de2e3a522d12f1d75aa65d58b71f80e07dead3c0e7cc0425915", "size": 10}]',0,'2026-11-22T12:05:00.000Z','','','',0,'[{"target": "archive", "key": "01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf", "size": 10, "sha256": "2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61", "reference": "/srv/archive/01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}, {"target": "archive", "key": "01a20320-adb8-74a3-9621-b67ab51607ff/manifest.json", "size": 10, "sha256": "2816f16178da7de2e3a522d12f1d75aa65d58b71f80e07dead3c0e7cc0425915", "reference": "/srv/archive/01a20320-adb8-74a3-9621-b67ab51607ff/manifest.json", "grade": "bytes", "proved_at": "2026-11-22T12:00:00.000Z"}]','2026-11-22T12:05:00.000Z');
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
INSERT INTO "document" VALUES('01a20320-a200-7fa1-94cb-3256d1b162ea','claimed','post','post','pdf',1000,'15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc','2026-11-22T11:59:50.000Z','2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a5e8-7f7a-a513-92ba64dd92b8','refused','post','post','pdf',1000,'6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0','2026-11-22T11:59:51.000Z','2026-11-22T12:00:01.000Z','2026-11-22T12:00:00.000Z','sure','pdf-damaged',NULL,'',0,0,'[]',NULL,0,NULL,0,NULL,NULL,'','due',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-a9d0-75ab-a0ac-c5bdf928f605','sealed','post','post','pdf',1000,'5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81','2026-11-22T11:59:52.000Z','2026-11-22T12:00:02.000Z','2026-11-22T12:00:00.000Z','sure','',NULL,'freeze',0,1,'[]','eed43685e884bc5319ee9c47ed96b12e3d0066bc5a067d9e38c0d120ba24f763',10,'30bd943591de8be96344b68e6e8d891f88b9c15e2c007ca59e85c59a89477968',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','7b04b315778da4595c93c5309a14bf98b579d3a9152a3999c9518fe3c8438dbc','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
INSERT INTO "document" VALUES('01a20320-adb8-74a3-9621-b67ab51607ff','filed','post','post','pdf',1000,'6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5','2026-11-22T11:59:53.000Z','2026-11-22T12:00:03.000Z','2026-11-22T12:05:00.000Z','sure','',NULL,'',0,1,'[]','2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61',10,'4693932da81d666f9867f44dc90efa3e32575df094414aa2d31fee97c85c0308',10,'2026-11-22T12:00:00.000Z','2026-11-22T12:00:00.000Z','3d32b20e3381a2207ac143efa3c91b4c913f9efa5a58144dbb95981f347015c2','',NULL,'','','{}','[]','','','','',NULL,'','[]','','','');
CREATE TABLE "ledger" (
   "seq" INTEGER PRIMARY KEY,
   "at" TEXT,
   "document" TEXT,
   "event" TEXT,
   "line" TEXT NOT NULL,
   "hash" TEXT NOT NULL
);
INSERT INTO "ledger" VALUES(1,'2026-11-22T12:00:00.000Z','01a20320-a200-7fa1-94cb-3256d1b162ea','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"captured_at":"2026-11-22T11:59:50.000Z","claimed_at":"2026-11-22T12:00:00.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"15b12239dd66f813134d0d466832754be262ed2514b147af8a1f87b9f9c1a4bc","size":1000},"document":"01a20320-a200-7fa1-94cb-3256d1b162ea","event":"claim","personal_hash":"910f2a7fd613fad37cbfe6110034d1cf8ed4db2c0f56d52b5eecd69098952421","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"v":1}','17c7e6b58cdc56b2aa2cd12af1d9483d210b3344c7a5a27bac32f2e24cd5f2fa');
INSERT INTO "ledger" VALUES(2,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7f7a-a513-92ba64dd92b8','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"captured_at":"2026-11-22T11:59:51.000Z","claimed_at":"2026-11-22T12:00:01.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6ef3f65b437abc5587a08b84755778d61c488d25b94c6da4a92ea0ff73cda8d0","size":1000},"document":"01a20320-a5e8-7f7a-a513-92ba64dd92b8","event":"claim","personal_hash":"4738b227c7994981aa3582bee54c44ccd1c785a66710405f6c3df804a8b76ff7","prev":"17c7e6b58cdc56b2aa2cd12af1d9483d210b3344c7a5a27bac32f2e24cd5f2fa","seq":2,"v":1}','368c5df265097aa67547f2f96a8d684db52f6a3cc7b00d514f4a36a43a079efe');
INSERT INTO "ledger" VALUES(3,'2026-11-22T12:00:00.000Z','01a20320-a5e8-7f7a-a513-92ba64dd92b8','refuse','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"code":"pdf-damaged","reason":"no page tree"},"document":"01a20320-a5e8-7f7a-a513-92ba64dd92b8","event":"refuse","personal_hash":"","prev":"368c5df265097aa67547f2f96a8d684db52f6a3cc7b00d514f4a36a43a079efe","seq":3,"v":1}','22a4a0c75902aec624984173da624f860f58ea3a86fed5b71f03761dc5ee3476');
INSERT INTO "ledger" VALUES(4,'2026-11-22T12:00:00.000Z','01a20320-a9d0-75ab-a0ac-c5bdf928f605','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"captured_at":"2026-11-22T11:59:52.000Z","claimed_at":"2026-11-22T12:00:02.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"5677e0c7f25c5d484ccff313000a3155630f13e75b2b39298734354d5b008f81","size":1000},"document":"01a20320-a9d0-75ab-a0ac-c5bdf928f605","event":"claim","personal_hash":"7eb6285ce5c17d6e0b8185f90ce0e665c84d91a1b800b1873951b4ab308f8a75","prev":"22a4a0c75902aec624984173da624f860f58ea3a86fed5b71f03761dc5ee3476","seq":4,"v":1}','7b04b315778da4595c93c5309a14bf98b579d3a9152a3999c9518fe3c8438dbc');
INSERT INTO "ledger" VALUES(5,'2026-11-22T12:00:00.000Z','01a20320-a9d0-75ab-a0ac-c5bdf928f605','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"7b04b315778da4595c93c5309a14bf98b579d3a9152a3999c9518fe3c8438dbc","note_sha256":"30bd943591de8be96344b68e6e8d891f88b9c15e2c007ca59e85c59a89477968","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"eed43685e884bc5319ee9c47ed96b12e3d0066bc5a067d9e38c0d120ba24f763","size":10},"document":"01a20320-a9d0-75ab-a0ac-c5bdf928f605","event":"seal","personal_hash":"","prev":"7b04b315778da4595c93c5309a14bf98b579d3a9152a3999c9518fe3c8438dbc","seq":5,"v":1}','da0f0defecda5affc5f113050ccb84e92e3720dde2a8d5ce9af5e17a641553f7');
INSERT INTO "ledger" VALUES(6,'2026-11-22T12:00:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','claim','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"captured_at":"2026-11-22T11:59:53.000Z","claimed_at":"2026-11-22T12:00:03.000Z","clock":"sure","hotfolder":"post","kind":"pdf","profile":"post","sha256":"6d11e9c952b1cc1254404420cea8a35bc20468de6479fe77fb03fe45d720feb5","size":1000},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"claim","personal_hash":"bbc76a6469076fdad21f8393b9abe90160d53d06582ebdcdbff528e864af7ca9","prev":"da0f0defecda5affc5f113050ccb84e92e3720dde2a8d5ce9af5e17a641553f7","seq":6,"v":1}','3d32b20e3381a2207ac143efa3c91b4c913f9efa5a58144dbb95981f347015c2');
INSERT INTO "ledger" VALUES(7,'2026-11-22T12:00:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','seal','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"certificate_sha256":"","checked_at":"2026-11-22T12:00:00.000Z","findings":[],"images":1,"kind":"pdf","ledger_hash":"3d32b20e3381a2207ac143efa3c91b4c913f9efa5a58144dbb95981f347015c2","note_sha256":"4693932da81d666f9867f44dc90efa3e32575df094414aa2d31fee97c85c0308","note_size":10,"sealed_at":"2026-11-22T12:00:00.000Z","sha256":"2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61","size":10},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"seal","personal_hash":"","prev":"3d32b20e3381a2207ac143efa3c91b4c913f9efa5a58144dbb95981f347015c2","seq":7,"v":1}','7a2da4a2146b55c6f62fdd3a4075ef501002cf331e415badc00e8cb3441e1ad7');
INSERT INTO "ledger" VALUES(8,'2026-11-22T12:00:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','freeze','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"deliveries":[{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61","size":10}],"role":"dms","target":"dms"},{"parts":[{"file":"sealed.pdf","role":"sealed","sha256":"2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61","size":10},{"file":"manifest.json","role":"manifest","sha256":"2816f16178da7de2e3a522d12f1d75aa65d58b71f80e07dead3c0e7cc0425915","size":10}],"role":"archive","target":"archive"}],"level":"reached"},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"freeze","personal_hash":"","prev":"7a2da4a2146b55c6f62fdd3a4075ef501002cf331e415badc00e8cb3441e1ad7","seq":8,"v":1}','f20c20a6a105e8f75177a8fd4f34eae8745b2343cb5f3f3a95db05e75bf32335');
INSERT INTO "ledger" VALUES(9,'2026-11-22T12:00:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"target":"archive"},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"delivery-send","personal_hash":"","prev":"f20c20a6a105e8f75177a8fd4f34eae8745b2343cb5f3f3a95db05e75bf32335","seq":9,"v":1}','173bf7801926933cba37a7445fa9124dd2b6877b4f99d31098dad2cb6c4222a1');
INSERT INTO "ledger" VALUES(10,'2026-11-22T12:05:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf","sha256":"2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61","size":10,"target":"archive"},{"grade":"bytes","key":"01a20320-adb8-74a3-9621-b67ab51607ff/manifest.json","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/archive/01a20320-adb8-74a3-9621-b67ab51607ff/manifest.json","sha256":"2816f16178da7de2e3a522d12f1d75aa65d58b71f80e07dead3c0e7cc0425915","size":10,"target":"archive"}],"target":"archive"},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"delivery-acknowledge","personal_hash":"","prev":"173bf7801926933cba37a7445fa9124dd2b6877b4f99d31098dad2cb6c4222a1","seq":10,"v":1}','a8caaabd7a672d6792d5dd7df19ce3b158915832f750c507c1bd014b7497c3f7');
INSERT INTO "ledger" VALUES(11,'2026-11-22T12:00:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','delivery-send','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"target":"dms"},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"delivery-send","personal_hash":"","prev":"a8caaabd7a672d6792d5dd7df19ce3b158915832f750c507c1bd014b7497c3f7","seq":11,"v":1}','96c9cd32493fc1b633b607abe8de5f7c5042927503adedfe5edbdbadcef97f2e');
INSERT INTO "ledger" VALUES(12,'2026-11-22T12:05:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','delivery-acknowledge','{"at":"2026-11-22T12:05:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"receipts":[{"grade":"bytes","key":"01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf","proved_at":"2026-11-22T12:00:00.000Z","reference":"/srv/dms/01a20320-adb8-74a3-9621-b67ab51607ff/sealed.pdf","sha256":"2003ece298aed40cbfefc7b295220530af89e9e1fe8762ec5f1a31fe06fa8b61","size":10,"target":"dms"}],"target":"dms"},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"delivery-acknowledge","personal_hash":"","prev":"96c9cd32493fc1b633b607abe8de5f7c5042927503adedfe5edbdbadcef97f2e","seq":12,"v":1}','4a5886db1823cb03d9c114eb7a34f7b20628f26fe2ce96674646e9f99c87ccfc');
INSERT INTO "ledger" VALUES(13,'2026-11-22T12:05:00.000Z','01a20320-adb8-74a3-9621-b67ab51607ff','file','{"at":"2026-11-22T12:05:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{},"document":"01a20320-adb8-74a3-9621-b67ab51607ff","event":"file","personal_hash":"","prev":"4a5886db1823cb03d9c114eb7a34f7b20628f26fe2ce96674646e9f99c87ccfc","seq":13,"v":1}','d29893fe8ce283588e74415bc97a67391e623fafdb06e280a458aa52e5aea90e');
INSERT INTO "ledger" VALUES(14,'2026-11-22T12:00:00.000Z','','shift','{"at":"2026-11-22T12:00:00.000Z","box_id":"aba85eaad15f510710ce71aa52f07e3d","detail":{"hotfolder":"post","named":true},"document":"","event":"shift","personal_hash":"6e2ad342bad7597f18689be194e2644b054aba7b2121b6eab8ee293e33aa91fe","prev":"d29893fe8ce283588e74415bc97a67391e623fafdb06e280a458aa52e5aea90e","seq":14,"v":1}','bd9bca3a3ba5f758ffa1119e6d87593555354df0d6041e6ad54731b76cc3ff38');
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
INSERT INTO "meta" VALUES('box_id','aba85eaad15f510710ce71aa52f07e3d');
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
INSERT INTO "personal" VALUES(1,X'17F83920F4FF720EE27908AE3730DDD4','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(2,X'9D376DBCA25DCD116669D41F2A8227C6','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(4,X'FC6356AA854672876470AE1437A7956D','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(6,X'DF0A32A758D8B64FC2CACE7343DF476A','{"name":"Müller Kündigung.pdf","name_hex":"4dc3bc6c6c6572204bc3bc6e646967756e672e706466"}');
INSERT INTO "personal" VALUES(14,X'07FAD5D2E3A619BDD44E4EB648FB9454','{"operator":"K 17","person":"uid 0"}');
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
CREATE INDEX document_ready ON document(state, id) WHERE state IN ('sealed','stamped') AND stamp != 'wanted';
CREATE INDEX document_profiled ON document(profile) WHERE state IN ('claimed','waiting','refused','sealed','stamped','held');
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
