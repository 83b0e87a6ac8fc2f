package organisation

import "sallyport.dev/streams/backup"

// BackupSource is what a backup of the organisation is made from.
func (o *Organisation) BackupSource() backup.Source {
	return backup.Source{Name: o.name, Issuer: o.issuer, Conn: o.conn, SealDir: o.sealDir}
}
