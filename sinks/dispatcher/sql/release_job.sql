UPDATE dispatch.jobs SET released = true WHERE reference_id = %(reference_id)s
