package blocks

// eachBlock hands the blocks to do, one after the other, while the next one is
// being read: reading and decompressing on one core, checksums on another.
func eachBlock(all []file, do func(block) error) error {
	type loaded struct {
		block
		err error
		r   *reader
	}
	free := make(chan *reader, 2)
	free <- &reader{}
	free <- &reader{}
	ready := make(chan loaded)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(ready)
		for _, f := range all {
			var l loaded
			select {
			case l.r = <-free:
			case <-stop:
				return
			}
			l.block, l.err = l.r.read(f)
			select {
			case ready <- l:
			case <-stop:
				return
			}
		}
	}()
	for l := range ready {
		if l.err != nil {
			return l.err
		}
		if err := do(l.block); err != nil {
			return err
		}
		free <- l.r
	}
	return nil
}
