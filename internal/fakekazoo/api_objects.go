package fakekazoo

func (c *call) listObjects(kd kind) reply {
	rows := c.account.collection(kd.path).view()
	ascending := c.r.URL.Query().Get("ascending") == "true"
	if kd.path == "users" && c.k.version == version43 {
		// 4.3 has no view by name: ids, ascending.
		ascending = c.r.URL.Query().Get("descending") != "true"
	}
	name := objectsView(c.account, kd)
	if !c.k.views.lagging(c.k.clock, name) {
		return c.list(objectView(rows), ascending)
	}
	var v listView
	for _, r := range rows {
		if !r.doc.deleted {
			v = append(v, listRow{r.key, r.doc.summary()})
		}
	}
	return c.list(c.k.views.read(c.k.clock, name, v), ascending)
}

func (c *call) object(kd kind) *document {
	d := c.k.docs[docKey(c.account, c.args[0])]
	if d == nil || d.deleted || d.kind.path != kd.path || d.account != c.account {
		return nil
	}
	return d
}

func (c *call) getObject(kd kind) reply {
	d := c.object(kd)
	if d == nil {
		return badIdentifier(c.args[0])
	}
	return ok(d.public()).withRevision(revision(d))
}

func (c *call) createObject(kd kind) reply {
	doc := publicFields(c.data)
	if errs := c.checkObject(kd, doc, ""); errs.len() > 0 {
		return invalid(errs)
	}
	password := doc.str("password")
	doc.del("password")
	d := c.k.newDocument(c.account, kd, c.k.rand.hex(16), doc)
	c.k.insert(d)
	c.k.emit(c.k.objectEvent(d, "doc_created"))
	if kd.path == "users" && password != "" {
		c.k.notifyLocked(c.account, "new_user", obj("password", password, "user_id", d.id))
	}
	return created(d.public())
}

func (c *call) replaceObject(kd kind) reply {
	d := c.object(kd)
	if d == nil {
		return badIdentifier(c.args[0])
	}
	return c.saveObject(kd, d, publicFields(c.data))
}

func (c *call) patchObject(kd kind) reply {
	d := c.object(kd)
	if d == nil {
		return badIdentifier(c.args[0])
	}
	doc := d.body.clone()
	for _, f := range publicFields(c.data).fields {
		if f.val == nil {
			doc.del(f.key)
		} else {
			doc.set(f.key, f.val)
		}
	}
	return c.saveObject(kd, d, doc)
}

func (c *call) saveObject(kd kind, d *document, doc *jobj) reply {
	if errs := c.checkObject(kd, doc, d.id); errs.len() > 0 {
		return invalid(errs)
	}
	doc.del("password")
	c.k.changing(d)
	d.body = doc
	c.k.touch(d)
	c.k.rekey(d)
	c.k.emit(c.k.objectEvent(d, "doc_edited"))
	return ok(d.public()).withRevision(revision(d))
}

func (c *call) deleteObject(kd kind) reply {
	d := c.object(kd)
	if d == nil {
		return badIdentifier(c.args[0])
	}
	was := d.public()
	c.k.changing(d)
	c.k.touch(d)
	d.deleted = true
	c.k.truth.deleted(c.k.clock.now(), d)
	c.k.emit(c.k.objectEvent(d, "doc_deleted"))
	return ok(was)
}
